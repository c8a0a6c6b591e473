//! What the limiter decides at the end of a window. No atomics, no clock.

use std::time::Duration;

use mainstay_base::{Rng, SplitMix64, Timestamp};

use super::LimitPolicy;
use super::latency::{EXPONENTIAL_SPREAD, Latencies};
use super::probe::{Level, Probe, Verdict};

/// A window is at least so long ...
const MIN_WINDOW: Duration = Duration::from_millis(100);
/// ... and so many typical latencies, for a change of the limit shows only in the calls that start after it ...
const WINDOW_LATENCIES: u32 = 3;
/// ... but not longer.
const MAX_WINDOW: Duration = Duration::from_secs(2);
/// So many calls make a window, if they come within thrice its time.
const WINDOW_CALLS: u64 = 16;

/// Latency of now beside the normal one that is fine.
const TOLERANCE: f64 = 1.1;
/// A difference of so many standard errors may be chance.
const CHANCE: f64 = 1.5;
/// What takes no longer than this share of what the SLA promises is not slow, however quick other calls are: a quicker
/// answer is of no use to anybody, and calls turned away for it are lost.
const NEGLIGIBLE_SHARE: f64 = 1.0 / 50.0;
/// The least that the limit keeps in one window.
const MIN_GRADIENT: f64 = 0.5;
/// As above, when the callee itself refuses calls.
const MIN_GRADIENT_REFUSED: f64 = 0.8;
/// Calls beyond the knee, as a multiple of the root of the limit, for a callee with exponentially distributed times.
const HEADROOM: f64 = 0.6;
/// The headroom of the most regular callee, as a share of that.
const MIN_HEADROOM_SHARE: f64 = 0.3;
/// The least headroom, in calls: a limit of one must be able to grow.
const MIN_HEADROOM: f64 = 0.25;
/// Growth doubles so many times at most.
const MAX_DOUBLINGS: u32 = 8;

/// How fast the normal latency follows what is seen while the limit is not reached.
const NORMAL_MEMORY_S: f64 = 5.0;
/// The first window counts as so many calls.
const FIRST_GUESS_CALLS: f64 = 8.0;
/// Longest time without seeing the callee uncrowded before it is looked at.
const PROBE_PAUSE: Duration = Duration::from_secs(10);
/// As above, at first and after a look that told something new.
const NEXT_PROBE_PAUSE: Duration = Duration::from_secs(1);
/// A look is followed by a pause of so many times its length, or so many when it told something new.
const PROBE_PAUSE_FACTOR: u32 = 20;
const NEXT_PROBE_PAUSE_FACTOR: u32 = 4;
/// What was normal before a look counts as so many calls at most.
const KNOWN_CALLS: f64 = 64.0;
/// A look is taken at this share of the limit, which lies a tenth and the headroom above the knee: below the knee, but
/// not far, so that most of the callee stays busy.
const LOOK: f64 = 0.65;
/// A limit that has come down to this share of what it was, while the latency has come down by less than this share of
/// what a queue explains, ...
const FALLEN: f64 = 0.5;
/// ... in so many windows in a row, calls for a look.
const FALLEN_WINDOWS: u32 = 2;

/// What was seen in a window.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Window {
    pub(super) latencies: Latencies,
    /// Most calls under way at a time.
    pub(super) peak: u32,
    /// Calls that the callee refused.
    pub(super) refused: f64,
}

#[derive(Clone, Copy, Debug)]
enum Phase {
    /// The limit follows the gradient.
    Cruise,
    /// The limit is low for a look, since then.
    Probe(Probe, Timestamp),
    /// The limit is back: a window that still shows the low one.
    Refill,
}

/// The limit and what it rests on.
#[derive(Debug)]
pub(super) struct Gradient {
    policy: LimitPolicy,
    limit: f64,
    phase: Phase,
    /// Latencies without a queue inside the callee.
    normal: Latencies,
    /// Latencies of late, at about this limit.
    recent: Latencies,
    updated_at: Timestamp,
    /// When to look, if the limit is reached until then.
    probe_at: Timestamp,
    /// Windows in a row in which the limit was reached and the latency normal.
    calm_windows: u32,
    /// The highest limit and the longest latency (as its logarithm) since the last look.
    highest: f64,
    slowest: f64,
    /// Windows in a row in which the limit was far below the highest, and the latency still like the longest.
    fallen_windows: u32,
}

impl Gradient {
    pub(super) fn new(policy: LimitPolicy, now: Timestamp) -> Self {
        let mut gradient = Self {
            limit: f64::from(policy.initial),
            policy,
            phase: Phase::Cruise,
            normal: Latencies::default(),
            recent: Latencies::default(),
            updated_at: now,
            probe_at: now + NEXT_PROBE_PAUSE,
            calm_windows: 0,
            highest: 0.0,
            slowest: 0.0,
            fallen_windows: 0,
        };
        gradient.keep_bounds();
        gradient
    }

    fn min(&self) -> f64 {
        f64::from(self.policy.min.max(1))
    }

    fn keep_bounds(&mut self) {
        let max = f64::from(self.policy.max).max(self.min());
        self.limit = self.limit.clamp(self.min(), max);
    }

    /// The limit of now.
    pub(super) fn limit(&self) -> u32 {
        let limit = match self.phase {
            Phase::Probe(probe, _) => probe.limit(),
            Phase::Cruise | Phase::Refill => self.limit,
        };
        limit.round() as u32
    }

    /// The typical latency without a queue; zero when it is not known.
    pub(super) fn normal(&self) -> Duration {
        self.normal.typical()
    }

    /// Calls that started before this moment say nothing.
    pub(super) fn counts_from(&self) -> Timestamp {
        match self.phase {
            // Until the first call that found the lower limit has ended, there may be a queue of the higher one.
            Phase::Probe(probe, since) if !probe.counts() => since,
            _ => Timestamp::ZERO,
        }
    }

    /// How long the next window is.
    pub(super) fn window(&self) -> Duration {
        let latency = self.recent.typical().max(self.normal.typical());
        (latency * WINDOW_LATENCIES).clamp(MIN_WINDOW, MAX_WINDOW)
    }

    /// How many calls it should have.
    pub(super) fn window_calls(&self) -> u64 {
        match self.phase {
            Phase::Probe(probe, _) if !probe.counts() => 1,
            _ => WINDOW_CALLS,
        }
    }

    /// Takes in a window.
    pub(super) fn update(&mut self, window: Window, now: Timestamp) {
        let elapsed = now.since(self.updated_at);
        self.updated_at = now;
        self.yield_to_refusals(window);
        if window.latencies.count == 0.0 {
            return;
        }
        if self.normal.count == 0.0 {
            self.normal = self.first_guess(window.latencies);
        }
        let crowded = window.peak >= self.limit();
        match self.phase {
            Phase::Cruise => self.cruise(window, crowded, elapsed, now),
            Phase::Refill => self.phase = Phase::Cruise,
            Phase::Probe(..) if !crowded => self.phase = Phase::Cruise,
            Phase::Probe(probe, since) => match probe.update(window.latencies, self.normal, self.min()) {
                Verdict::Continue(probe) => self.phase = Phase::Probe(probe, since),
                Verdict::Lower(probe) => self.phase = Phase::Probe(probe, now),
                Verdict::Normal {
                    level,
                    above,
                    is_sure,
                } => {
                    let keep = (KNOWN_CALLS / self.normal.count).min(1.0);
                    let normal = self.normal.fade(keep).plus(level.latencies);
                    self.learn(normal, level, above);
                    self.end_probe(is_sure, now.since(since), now);
                }
                Verdict::Changed { level, above } => {
                    self.learn(level.latencies, level, above);
                    self.end_probe(false, now.since(since), now);
                }
            },
        }
    }

    /// What passes for normal until more is known. A first window has seen the quick calls only, and perhaps a callee under
    /// load: it counts for little, and what the SLA promises is the most it may say.
    fn first_guess(&self, seen: Latencies) -> Latencies {
        if seen.typical() > self.policy.latency {
            return Latencies::one(self.policy.latency);
        }
        seen.fade((FIRST_GUESS_CALLS / seen.count).min(1.0))
    }

    /// A callee that refuses calls knows its own limit: additive increase, multiplicative decrease.
    fn yield_to_refusals(&mut self, window: Window) {
        if window.refused > 0.0 {
            let share = window.refused / (window.refused + window.latencies.count);
            self.limit *= (1.0 - share / 2.0).max(MIN_GRADIENT_REFUSED);
            self.keep_bounds();
            self.calm_windows = 0;
        }
    }

    fn cruise(&mut self, window: Window, crowded: bool, elapsed: Duration, now: Timestamp) {
        let count = window.latencies.count;
        let keep = WINDOW_CALLS as f64 / (WINDOW_CALLS as f64 + count);
        self.recent = self.recent.fade(keep).plus(window.latencies);
        if !crowded {
            let keep = (-elapsed.as_secs_f64() / NORMAL_MEMORY_S).exp();
            self.normal = self.normal.fade(keep).plus(window.latencies);
            self.probe_at = now + PROBE_PAUSE;
        }
        let in_vain = self.has_fallen_in_vain(window.latencies);
        let fine = self.normal.log().max(self.negligible_log());
        let difference = self.recent.log() - fine - CHANCE * self.recent.noise(self.normal);
        let excess = difference.max(0.0).exp2();
        if crowded && excess <= 1.0 {
            let growth = self.headroom() * f64::from(1 << self.calm_windows);
            self.limit += growth.min(self.limit / 2.0);
            self.calm_windows = (self.calm_windows + 1).min(MAX_DOUBLINGS);
        } else {
            self.calm_windows = 0;
            let gradient = (TOLERANCE / excess).clamp(MIN_GRADIENT, 1.0);
            let is_used = f64::from(window.peak) >= self.limit / 2.0;
            if crowded || (is_used && gradient < 1.0) {
                self.limit = gradient * self.limit + self.headroom();
            }
        }
        self.keep_bounds();
        if crowded && self.recent.log() > self.negligible_log() {
            self.consider_probe(excess, in_vain, now);
        }
    }

    /// The logarithm of the latency that nobody minds.
    fn negligible_log(&self) -> f64 {
        let nanos = self.policy.latency.as_nanos() as f64 * NEGLIGIBLE_SHARE;
        nanos.max(1.0).log2()
    }

    /// Calls beyond the knee. The less regular the callee, the more it takes to keep all of it busy.
    fn headroom(&self) -> f64 {
        let share = (self.recent.spread() / EXPONENTIAL_SPREAD).clamp(MIN_HEADROOM_SHARE, 1.0);
        (HEADROOM * self.limit.sqrt() * share).max(MIN_HEADROOM)
    }

    fn consider_probe(&mut self, excess: f64, in_vain: bool, now: Timestamp) {
        if in_vain && excess > TOLERANCE {
            // The limit is low already; the latency of before, which came late, is not to be trusted.
            self.phase = Phase::Probe(Probe::new(self.limit.round(), None), now);
        } else if now >= self.probe_at {
            let above = Level {
                limit: self.limit,
                latencies: self.recent,
            };
            let limit = (LOOK * self.limit).round().max(self.min());
            self.phase = Phase::Probe(Probe::new(limit, Some(above)), now);
        }
    }

    /// Whether the limit has come down without the latency following. To be asked before the limit changes: this window
    /// belongs to it.
    fn has_fallen_in_vain(&mut self, window: Latencies) -> bool {
        self.highest = self.highest.max(self.limit);
        self.slowest = self.slowest.max(window.log());
        let fallen = (self.highest / self.limit).log2();
        let in_vain = self.limit <= FALLEN * self.highest && self.slowest - window.log() < FALLEN * fallen;
        self.fallen_windows = if in_vain { self.fallen_windows + 1 } else { 0 };
        self.fallen_windows >= FALLEN_WINDOWS
    }

    /// Takes what a look has shown for normal, and the limit down to the knee that follows from it.
    fn learn(&mut self, normal: Latencies, level: Level, above: Option<Level>) {
        self.normal = normal;
        if let Some(above) = above {
            let knee = above.limit * (level.latencies.log() - above.latencies.log()).exp2();
            let limit = TOLERANCE * knee + self.headroom();
            self.limit = self.limit.min(limit).max(level.limit);
        }
    }

    fn end_probe(&mut self, is_sure: bool, took: Duration, now: Timestamp) {
        self.phase = Phase::Refill;
        self.recent = Latencies::default();
        self.highest = self.limit;
        self.slowest = 0.0;
        self.fallen_windows = 0;
        let pause = if is_sure {
            PROBE_PAUSE.max(took * PROBE_PAUSE_FACTOR)
        } else {
            NEXT_PROBE_PAUSE.max(took * NEXT_PROBE_PAUSE_FACTOR)
        };
        // Jitter, so that the replicas of a callee do not look all at once.
        let jitter = 0.75 + 0.5 * SplitMix64::new(now.as_nanos()).unit();
        self.probe_at = now + pause.mul_f64(jitter);
    }
}
