//! What the method of a port answers with.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

/// The answer of a port: there already, or on its way.
///
/// A future that can be a trait object's answer without an allocation where none is needed.
#[must_use = "futures do nothing unless awaited"]
pub struct Reply<'a, T> {
    state: State<'a, T>,
    end: Option<End>,
}

/// Hears of the end of a [`Reply`]: it was answered, or nobody waits for the answer any more.
pub trait Ended: Send + Sync {
    /// It has ended. Called once for each reply.
    fn ended(&self);
}

/// Tells of the end when it is dropped.
struct End(Arc<dyn Ended>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.ended();
    }
}

enum State<'a, T> {
    Ready(Option<T>),
    Waiting(Pin<Box<dyn Future<Output = T> + Send + 'a>>),
}

impl<'a, T> Reply<'a, T> {
    /// An answer that is there already.
    pub const fn ready(answer: T) -> Self {
        Self {
            state: State::Ready(Some(answer)),
            end: None,
        }
    }

    /// An answer that is on its way.
    pub fn waiting(answer: impl Future<Output = T> + Send + 'a) -> Self {
        Self {
            state: State::Waiting(Box::pin(answer)),
            end: None,
        }
    }

    /// The answer made into another one; without an allocation where it is there already.
    pub fn map<U>(self, make: impl FnOnce(T) -> U + Send + 'a) -> Reply<'a, U>
    where
        T: Send + 'a,
    {
        match self.at_once() {
            Ok(answer) => Reply::ready(make(answer)),
            Err(later) => Reply::waiting(async move { make(later.await) }),
        }
    }

    /// The answer if it is there already; the reply as it was if it is not.
    pub fn at_once(mut self) -> Result<T, Self> {
        match &mut self.state {
            State::Ready(answer) => answer.take().ok_or(self),
            State::Waiting(_) => Err(self),
        }
    }

    /// Tells `listener` of the end; one that was told to be before is told now.
    #[must_use = "futures do nothing unless awaited"]
    pub fn tell(mut self, listener: Arc<dyn Ended>) -> Self {
        self.end = Some(End(listener));
        self
    }
}

/// An answer that is there is not pinned, and the box of one that is not may move.
impl<T> Unpin for Reply<'_, T> {}

impl<T> Future for Reply<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let polled = match &mut self.state {
            // A future is not polled after it was ready.
            State::Ready(answer) => answer.take().map_or(Poll::Pending, Poll::Ready),
            State::Waiting(answer) => answer.as_mut().poll(context),
        };
        if polled.is_ready() {
            self.end = None;
        }
        polled
    }
}

impl<T> fmt::Debug for Reply<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.state {
            State::Ready(_) => "Reply(ready)",
            State::Waiting(_) => "Reply(waiting)",
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::Waker;

    use super::*;

    struct Count(AtomicU32);

    impl Ended for Count {
        fn ended(&self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn an_answer_that_is_there_is_made_into_another_at_once() {
        let doubled = |reply: Reply<'static, u32>| reply.map(|number| number * 2);
        assert!(matches!(doubled(Reply::ready(2)).at_once(), Ok(4)));
        let later = doubled(Reply::waiting(async { 3 })).at_once();
        let Err(mut later) = later else {
            panic!("it was not there");
        };
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(Pin::new(&mut later).poll(&mut context), Poll::Ready(6));
    }

    #[test]
    fn the_end_is_told_once() {
        let count = Arc::new(Count(AtomicU32::new(0)));
        let told = || count.0.load(Ordering::Relaxed);
        let mut context = Context::from_waker(Waker::noop());

        let mut answered = Reply::ready(1).tell(Arc::clone(&count) as _);
        assert_eq!(told(), 0);
        assert_eq!(Pin::new(&mut answered).poll(&mut context), Poll::Ready(1));
        assert_eq!(told(), 1, "when the answer is given, not later");
        drop(answered);
        assert_eq!(told(), 1);

        let mut given_up = Reply::waiting(std::future::pending::<u32>()).tell(Arc::clone(&count) as _);
        assert!(Pin::new(&mut given_up).poll(&mut context).is_pending());
        assert_eq!(told(), 1);
        drop(given_up);
        assert_eq!(told(), 2);
    }
}
