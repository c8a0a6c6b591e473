//! Whatever a component has to do every now and then, such as removing what has expired.

use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

/// Owns a task that sweeps at an interval, until this is stopped or dropped.
#[derive(Debug)]
pub struct Sweeper {
    what: &'static str,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Sweeper {
    /// Starts to do a round at once, and every `interval` after that, of at least 1 ms; runs on the present runtime. `what` it
    /// sweeps is told when it fails.
    pub fn start<F>(what: &'static str, interval: Duration, round: impl Fn() -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send,
    {
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let mut ticks = tokio::time::interval(interval.max(Duration::from_millis(1)));
            ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    _ = &mut stopped => return,
                    _ = ticks.tick() => {}
                }
                round().await;
            }
        });
        Self { what, stop, task }
    }

    /// Stops it and waits until a round that is under way has ended.
    pub async fn stop(self) {
        // It is gone already when its runtime was shut down.
        let _ = self.stop.send(());
        if let Err(error) = self.task.await
            && error.is_panic()
        {
            tracing::error!("the sweeper of {} has failed", self.what);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn it_sweeps_until_it_is_stopped_or_dropped() {
        let rounds = Arc::new(AtomicU32::new(0));
        let start = || {
            let rounds = rounds.clone();
            Sweeper::start("tests", Duration::from_secs(10), move || {
                rounds.fetch_add(1, Ordering::Relaxed);
                std::future::ready(())
            })
        };
        let seen = || rounds.load(Ordering::Relaxed);
        let sweeper = start();
        tokio::time::sleep(Duration::from_secs(25)).await;
        assert_eq!(seen(), 3);
        sweeper.stop().await;
        let sweeper = start();
        tokio::time::sleep(Duration::from_secs(5)).await;
        drop(sweeper);
        tokio::time::sleep(Duration::from_secs(100)).await;
        assert_eq!(seen(), 4);
    }
}
