//! How fast something goes, and how long it still takes. Pure.

use std::collections::VecDeque;
use std::time::Duration;

use mainstay_base::Timestamp;

/// The rate is that of the last seconds: long enough to be calm, short enough to notice when it stalls.
const WINDOW: Duration = Duration::from_secs(10);

/// Looks closer together than this are taken as one.
const GRAIN: Duration = Duration::from_millis(200);

/// Counts what is done of something.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress {
    done: u64,
    total: Option<u64>,
    /// How much was done when, the oldest first.
    looks: VecDeque<(Timestamp, u64)>,
}

impl Progress {
    /// `done` of `total` are there already.
    pub(crate) fn begin(done: u64, total: Option<u64>, now: Timestamp) -> Self {
        Self {
            done,
            total,
            looks: VecDeque::from([(now, done)]),
        }
    }

    /// So many more are done.
    pub(crate) fn add(&mut self, count: u64, now: Timestamp) {
        self.done += count;
        if self.looks.back().is_none_or(|(at, _)| now.since(*at) >= GRAIN) {
            self.looks.push_back((now, self.done));
        }
        // One from before the window stays, so that the window is full.
        while let Some((second, _)) = self.looks.get(1)
            && now.since(*second) >= WINDOW
        {
            self.looks.pop_front();
        }
    }

    pub(crate) const fn done(&self) -> u64 {
        self.done
    }

    /// How many there are in all; at least what is done.
    pub(crate) fn total(&self) -> Option<u64> {
        self.total.map(|total| total.max(self.done))
    }

    /// How many a second, lately; `None` as long as that cannot be told.
    pub(crate) fn per_second(&self, now: Timestamp) -> Option<f64> {
        let (since, before) = *self.looks.front()?;
        let elapsed = now.since(since);
        (elapsed >= GRAIN).then(|| (self.done - before) as f64 / elapsed.as_secs_f64())
    }

    /// How long the rest takes at this rate; `None` as long as that cannot be told.
    pub(crate) fn time_left(&self, now: Timestamp) -> Option<Duration> {
        let rest = self.total()? - self.done;
        let per_second = self.per_second(now).filter(|rate| *rate > 0.0)?;
        Duration::try_from_secs_f64(rest as f64 / per_second).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_millis(ms)
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let mut progress = Progress::begin(1_000, Some(41_000), at(0));
        assert_eq!(progress.per_second(at(0)), None);
        assert_eq!(progress.time_left(at(100)), None);
        for second in 1..=10 {
            progress.add(1_000, at(1_000 * second));
        }
        assert_eq!(progress.per_second(at(10_000)), Some(1_000.0));
        assert_eq!(progress.time_left(at(10_000)), Some(Duration::from_secs(30)));
        // Faster now: the old rate is forgotten.
        for second in 11..=21 {
            progress.add(2_000, at(1_000 * second));
        }
        assert_eq!(progress.per_second(at(21_000)), Some(2_000.0));
        // It stalls.
        progress.add(0, at(31_000));
        progress.add(0, at(41_000));
        assert_eq!(progress.per_second(at(41_000)), Some(0.0));
        assert_eq!(progress.time_left(at(41_000)), None);
    }

    #[test]
    fn more_than_was_thought_is_no_mistake() {
        let mut progress = Progress::begin(0, Some(10), at(0));
        progress.add(20, at(1_000));
        assert_eq!((progress.done(), progress.total()), (20, Some(20)));
        assert_eq!(progress.time_left(at(1_000)), Some(Duration::ZERO));
    }

    #[test]
    fn many_looks_take_little_memory() {
        let mut progress = Progress::begin(0, None, at(0));
        for step in 0..100_000 {
            progress.add(1, at(step));
        }
        assert!(progress.looks.len() < 60, "{}", progress.looks.len());
    }
}
