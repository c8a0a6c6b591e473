//! Saying that keys may have changed.

use std::time::Duration;

use mainstay_store::Closed;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval_at};

/// Says when keys of a component may have changed; they may not have. Dropping it ends it.
#[derive(Debug)]
pub struct Watch(Source);

#[derive(Debug)]
enum Source {
    Store(mainstay_store::Watch),
    Task {
        told: watch::Receiver<()>,
        /// Ends with the watch.
        _task: Task,
    },
    Clock(Interval),
}

/// A task that ends when this is dropped.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Watch {
    /// What the store says.
    pub(crate) const fn of_store(watch: mainstay_store::Watch) -> Self {
        Self(Source::Store(watch))
    }

    /// What a task says, by sending; it is given the sender.
    pub(crate) fn of_task<F>(task: impl FnOnce(watch::Sender<()>) -> F) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let (sender, told) = watch::channel(());
        let task = Task(tokio::spawn(task(sender)));
        Self(Source::Task { told, _task: task })
    }

    /// Every `interval`, for a component that tells nothing by itself.
    pub(crate) fn of_clock(interval: Duration) -> Self {
        let mut ticks = interval_at(Instant::now() + interval, interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self(Source::Clock(ticks))
    }

    /// Waits until keys may have changed since the watch was made or this last returned.
    ///
    /// # Errors
    /// When nothing is told any more.
    ///
    /// # Cancel safety
    /// Cancel safe: what was not returned is returned by the next call.
    pub async fn changed(&mut self) -> Result<(), Closed> {
        match &mut self.0 {
            Source::Store(watch) => watch.changed().await.map(drop),
            Source::Task { told, .. } => told.changed().await.map_err(|_| Closed),
            Source::Clock(ticks) => {
                ticks.tick().await;
                Ok(())
            }
        }
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_clock_says_so_again_and_again() {
        let mut watch = Watch::of_clock(Duration::from_secs(1));
        let started = Instant::now();
        for second in 1..=3 {
            watch.changed().await.unwrap();
            assert_eq!(started.elapsed().as_secs(), second);
        }
    }

    #[tokio::test]
    async fn a_task_is_heard_until_it_ends() {
        let mut watch = Watch::of_task(|told| async move {
            told.send_replace(());
            told.send_replace(());
        });
        assert_eq!(watch.changed().await, Ok(()));
        assert_eq!(watch.changed().await, Err(Closed));
    }
}
