//! What the method of a port answers with.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

/// The answer of a port: there already, or on its way.
///
/// A future that can be a trait object's answer without an allocation where none is needed.
#[must_use = "futures do nothing unless awaited"]
pub struct Reply<'a, T>(State<'a, T>);

enum State<'a, T> {
    Ready(Option<T>),
    Waiting(Pin<Box<dyn Future<Output = T> + Send + 'a>>),
}

impl<'a, T> Reply<'a, T> {
    /// An answer that is there already.
    pub const fn ready(answer: T) -> Self {
        Self(State::Ready(Some(answer)))
    }

    /// An answer that is on its way.
    pub fn waiting(answer: impl Future<Output = T> + Send + 'a) -> Self {
        Self(State::Waiting(Box::pin(answer)))
    }
}

/// An answer that is there is not pinned, and the box of one that is not may move.
impl<T> Unpin for Reply<'_, T> {}

impl<T> Future for Reply<'_, T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        match &mut self.0 {
            // A future is not polled after it was ready.
            State::Ready(answer) => answer.take().map_or(Poll::Pending, Poll::Ready),
            State::Waiting(answer) => answer.as_mut().poll(context),
        }
    }
}

impl<T> fmt::Debug for Reply<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self.0 {
            State::Ready(_) => "Reply(ready)",
            State::Waiting(_) => "Reply(waiting)",
        })
    }
}
