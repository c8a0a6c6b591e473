//! How fast is the callee with fewer calls? Tells a callee that queues from one that has become slower.

use super::latency::Latencies;

/// Windows at the start that do not count: in the first the callee's queue drains, in the second only the quick calls
/// have ended.
const UNCOUNTED_WINDOWS: u32 = 2;
/// So many calls are enough to be sure ...
const ENOUGH_CALLS: f64 = 48.0;
/// ... and so many windows are enough to wait for them.
const ENOUGH_WINDOWS: u32 = 3;
/// A difference of up to so many standard errors is none, whatever else was seen.
const NONE: f64 = 1.0;
/// One of up to so many is none, if enough was seen.
const SIGNIFICANT: f64 = 1.5;
/// One of so many needs no more to be seen.
const CERTAIN: f64 = 3.0;
/// How far below the supposed knee the next look goes.
const BELOW_KNEE: f64 = 0.75;

/// What was seen at a limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Level {
    pub(super) limit: f64,
    pub(super) latencies: Latencies,
}

/// One look, at a lower limit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Probe {
    limit: f64,
    /// What was seen with more calls, when that can be trusted.
    above: Option<Level>,
    seen: Latencies,
    windows: u32,
}

/// What a look tells.
#[derive(Clone, Copy, Debug)]
pub(super) enum Verdict {
    /// Not enough seen.
    Continue(Probe),
    /// As fast as is normal.
    Normal {
        level: Level,
        above: Option<Level>,
        /// Whether another look would hardly tell more.
        is_sure: bool,
    },
    /// The callee's normal latency has changed: it does not depend on the number of calls here.
    Changed { level: Level, above: Option<Level> },
    /// It still depends on the number of calls: look again at a lower limit.
    Lower(Probe),
}

impl Probe {
    /// A look at `limit`, a whole number.
    pub(super) fn new(limit: f64, above: Option<Level>) -> Self {
        Self {
            limit,
            above,
            seen: Latencies::default(),
            windows: 0,
        }
    }

    /// The limit while it lasts.
    pub(super) fn limit(&self) -> f64 {
        self.limit
    }

    /// Whether the windows count already.
    pub(super) fn counts(&self) -> bool {
        self.windows >= UNCOUNTED_WINDOWS
    }

    /// Takes in a window, in the light of what was normal before. It never goes below `min`.
    pub(super) fn update(mut self, window: Latencies, normal: Latencies, min: f64) -> Verdict {
        let counts = self.counts();
        self.windows += 1;
        if !counts {
            return Verdict::Continue(self);
        }
        self.seen = self.seen.plus(window);
        let noise = self.seen.noise(normal);
        let difference = (self.seen.log() - normal.log()).abs() / noise;
        let sure = self.seen.count >= ENOUGH_CALLS || self.windows >= UNCOUNTED_WINDOWS + ENOUGH_WINDOWS;
        if !sure && (NONE..CERTAIN).contains(&difference) {
            return Verdict::Continue(self);
        }
        let level = Level {
            limit: self.limit,
            latencies: self.seen,
        };
        let is_normal = difference <= if self.above.is_some() { SIGNIFICANT } else { NONE };
        if is_normal {
            return Verdict::Normal {
                level,
                above: self.above,
                is_sure: difference <= NONE,
            };
        }
        if self.limit <= min || !self.queues() {
            return if sure {
                Verdict::Changed {
                    level,
                    above: self.above,
                }
            } else {
                Verdict::Continue(self)
            };
        }
        let knee = self.limit * (normal.log() - self.seen.log()).exp2();
        let lower = (BELOW_KNEE * knee).max(self.limit / 2.0).min(self.limit - 1.0);
        Verdict::Lower(Self::new(lower.round().max(min), Some(level)))
    }

    /// Whether the latency has fallen in proportion to the limit, as it does while calls wait inside the callee. In case
    /// of doubt it has: to take a queue for normal is worse than another look.
    fn queues(&self) -> bool {
        self.above.is_none_or(|above| {
            let fell = above.latencies.log() - self.seen.log();
            fell > (above.limit / self.limit).log2() - self.seen.noise(above.latencies)
        })
    }
}
