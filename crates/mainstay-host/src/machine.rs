//! What one replica does next: `(state, input, now) -> (state, actions)`, without I/O or a clock.
//!
//! The shell (`replica.rs`) carries out the actions and reports what happened. What holds between the two: after
//! [`Action::Start`] comes either [`Input::Unstartable`] or [`Input::Unavailable`] (no process exists), or in the end
//! [`Input::Gone`] (none exists any more). A further `Start` is only given after that.

mod backoff;
mod check;
mod ending;
mod event;
mod input;
mod running;

use std::time::Duration;

use mainstay_base::{SplitMix64, Timestamp};

use crate::needs::Verdict;
use crate::{AppSpec, Exit, Probes, ReplicaState, RestartPolicy, StopPolicy};
pub(crate) use check::{ProbeKind, Try};
use ending::{Ending, Step, Why};
pub(crate) use event::Event;
pub(crate) use input::{Action, Input};
use running::{Finding, Running};

/// How long a guard may take from its start to running the program.
const LAUNCH_LIMIT: Duration = Duration::from_secs(10);

/// Quick ends in a row that make a crash loop (as many as systemd's default `StartLimitBurst`).
const CRASH_LOOP_ENDS: u32 = 5;

/// The state of one replica.
#[derive(Debug)]
pub(crate) struct Machine {
    restart: RestartPolicy,
    stop: StopPolicy,
    probes: Probes,
    rng: SplitMix64,
    phase: Phase,
    starts: u32,
    /// Ends in a row before it ran for long.
    quick_ends: u32,
    last_exit: Option<Exit>,
    was_ready: bool,
    actions: Vec<Action>,
}

#[derive(Debug)]
enum Phase {
    /// For others.
    Waiting(Vec<String>),
    /// Start was given, nothing is known yet.
    Launching { until: Timestamp },
    /// The process runs.
    Running(Box<Running>),
    /// The process ends or is being ended.
    Ending(Ending),
    /// Until the next start.
    Pausing { until: Timestamp, wait: Duration },
    /// Until a restart is asked for.
    Done(Outcome),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    Completed,
    Failed(String),
    Stopped,
}

impl Machine {
    /// A replica that has not started; `seed` spreads the restarts of replicas that fail together.
    pub(crate) fn new(spec: &AppSpec, seed: u64) -> Self {
        Self {
            restart: spec.restart.clone(),
            stop: spec.stop.clone(),
            probes: spec.probes.clone(),
            rng: SplitMix64::new(seed),
            phase: Phase::Waiting(Vec::new()),
            starts: 0,
            quick_ends: 0,
            last_exit: None,
            was_ready: false,
            actions: Vec::new(),
        }
    }

    /// Takes one input; the actions are to be carried out in order.
    pub(crate) fn apply(&mut self, input: Input, now: Timestamp) -> Vec<Action> {
        match input {
            Input::Needs(verdict) => self.needs(verdict, now),
            Input::Unstartable(reason) => self.without_process(|machine| machine.fail(reason)),
            Input::Unavailable(reason) => {
                self.without_process(|machine| machine.again(reason, Duration::ZERO, now));
            }
            Input::Started { pid, port } => self.started(pid, port, now),
            Input::Refused { reason, for_good } => {
                let why = if for_good { Why::Refused } else { Why::Failure };
                self.end(why(reason), Step::Killed, now);
            }
            Input::Ended(exit) => self.ended(exit, now),
            Input::Left(count) => self.log(Event::Left(count)),
            Input::Gone => self.gone(now),
            Input::Probed(kind, result) => self.probed(kind, result, now),
            Input::Drained => self.drained(now),
            Input::Stop => self.stop(Step::Draining, now),
            Input::Kill => self.stop(Step::Killed, now),
            Input::Restart => self.restart(now),
            Input::Tick => self.tick(now),
        }
        std::mem::take(&mut self.actions)
    }

    /// Where the replica stands.
    pub(crate) fn state(&self) -> ReplicaState {
        match &self.phase {
            Phase::Waiting(names) => ReplicaState::Waiting(names.clone()),
            Phase::Launching { .. } => ReplicaState::Starting,
            Phase::Running(running) => running.state(),
            Phase::Ending(ending) if ending.step == Step::Draining => ReplicaState::Draining,
            Phase::Ending(_) => ReplicaState::Stopping,
            Phase::Pausing { wait, .. } if self.quick_ends >= CRASH_LOOP_ENDS => {
                ReplicaState::CrashLoop(*wait)
            }
            Phase::Pausing { wait, .. } => ReplicaState::BackOff(*wait),
            Phase::Done(Outcome::Completed) => ReplicaState::Completed,
            Phase::Done(Outcome::Failed(reason)) => ReplicaState::Failed(reason.clone()),
            Phase::Done(Outcome::Stopped) => ReplicaState::Stopped,
        }
    }

    /// When [`Input::Tick`] is due at the latest; `None` when only events matter.
    pub(crate) fn deadline(&self) -> Option<Timestamp> {
        match &self.phase {
            Phase::Launching { until } | Phase::Pausing { until, .. } => Some(*until),
            Phase::Running(running) => running.deadline(),
            Phase::Ending(ending) => Some(ending.until),
            Phase::Waiting(_) | Phase::Done(_) => None,
        }
    }

    /// Whether a process may exist.
    pub(crate) fn has_process(&self) -> bool {
        matches!(
            self.phase,
            Phase::Launching { .. } | Phase::Running(_) | Phase::Ending(_)
        )
    }

    /// Starts after the first one.
    pub(crate) fn restarts(&self) -> u32 {
        self.starts.saturating_sub(1)
    }

    pub(crate) fn last_exit(&self) -> Option<Exit> {
        self.last_exit
    }

    /// Whether it has been ready since Mainstay started.
    pub(crate) fn was_ready(&self) -> bool {
        self.was_ready
    }

    fn needs(&mut self, verdict: Verdict, now: Timestamp) {
        let Phase::Waiting(before) = &mut self.phase else {
            return;
        };
        match verdict {
            Verdict::Met => self.start(now),
            Verdict::Impossible(reason) => self.fail(reason),
            Verdict::Waiting(names) => {
                if *before != names {
                    before.clone_from(&names);
                    self.log(Event::Waits(names));
                }
            }
        }
    }

    fn start(&mut self, now: Timestamp) {
        self.starts = self.starts.saturating_add(1);
        self.phase = Phase::Launching {
            until: now + LAUNCH_LIMIT,
        };
        self.actions.push(Action::Start);
    }

    /// The start failed before there was a process.
    fn without_process(&mut self, otherwise: impl FnOnce(&mut Self)) {
        match &self.phase {
            // Asked to stop in the very moment.
            Phase::Ending(ending) if ending.why == Why::Asked => self.finish(Outcome::Stopped),
            Phase::Launching { .. } | Phase::Ending(_) => otherwise(self),
            Phase::Waiting(_) | Phase::Running(_) | Phase::Pausing { .. } | Phase::Done(_) => {}
        }
    }

    fn started(&mut self, pid: u32, port: Option<u16>, now: Timestamp) {
        if !matches!(self.phase, Phase::Launching { .. }) {
            return;
        }
        self.log(Event::Started { pid, port });
        self.phase = Phase::Running(Box::new(Running::new(&self.probes, port, now)));
        self.look(now);
    }

    fn probed(&mut self, kind: ProbeKind, result: Result<(), String>, now: Timestamp) {
        if let Phase::Running(running) = &mut self.phase {
            let finding = running.probed(kind, result, &self.probes, now);
            self.act_on(finding, now);
            self.look(now);
        }
    }

    /// Begins the probes that are due and tells what is overdue.
    fn look(&mut self, now: Timestamp) {
        let Phase::Running(running) = &mut self.phase else {
            return;
        };
        let (probes, findings) = running.due(now);
        self.actions.extend(probes.into_iter().map(Action::Probe));
        for finding in findings {
            self.act_on(Some(finding), now);
        }
    }

    fn act_on(&mut self, finding: Option<Finding>, now: Timestamp) {
        match finding {
            None => {}
            Some(Finding::Ready { after }) => {
                self.was_ready = true;
                self.log(Event::Ready { after });
            }
            Some(Finding::Tell(event)) => self.log(event),
            Some(Finding::MustEnd(reason)) => {
                self.log(Event::MustEnd(reason.clone()));
                self.end(Why::Failure(reason), Step::Signalled, now);
            }
        }
    }

    fn stop(&mut self, step: Step, now: Timestamp) {
        match &self.phase {
            Phase::Waiting(_) | Phase::Pausing { .. } => self.finish(Outcome::Stopped),
            Phase::Launching { .. } | Phase::Running(_) | Phase::Ending(_) => {
                self.end(Why::Asked, step, now);
            }
            Phase::Done(_) => {}
        }
    }

    fn restart(&mut self, now: Timestamp) {
        self.quick_ends = 0;
        match &self.phase {
            Phase::Waiting(_) => {}
            // It never came as far as its first start: its needs still count.
            Phase::Done(_) if self.starts == 0 => self.phase = Phase::Waiting(Vec::new()),
            Phase::Pausing { .. } | Phase::Done(_) => self.start(now),
            Phase::Launching { .. } | Phase::Running(_) | Phase::Ending(_) => {
                self.end(Why::Restart, Step::Draining, now);
            }
        }
    }

    fn tick(&mut self, now: Timestamp) {
        if self.deadline().is_none_or(|deadline| deadline > now) {
            return;
        }
        match &self.phase {
            Phase::Launching { .. } => self.end(
                Why::Failure("its program did not start in time".to_owned()),
                Step::Killed,
                now,
            ),
            Phase::Running(_) => self.look(now),
            Phase::Pausing { .. } => self.start(now),
            Phase::Ending(ending) => match ending.step {
                Step::Draining => self.take_step(Step::Signalled, now),
                Step::Signalled => {
                    self.log(Event::Overdue(self.stop.grace));
                    self.take_step(Step::Killed, now);
                }
                Step::Killed => {
                    self.actions.push(Action::Abandon);
                    self.fail("its processes could not be killed".to_owned());
                }
            },
            Phase::Waiting(_) | Phase::Done(_) => {}
        }
    }

    /// Waits for the next start, or gives up.
    fn again(&mut self, reason: String, ran_for: Duration, now: Timestamp) {
        if ran_for >= self.restart.calm {
            self.quick_ends = 0;
        }
        if let Some(max) = self.restart.max_restarts.filter(|max| self.quick_ends >= *max) {
            return self.fail(match max {
                0 => reason,
                _ => format!("{reason}; gave up after {max} restarts in a row"),
            });
        }
        let wait = backoff::wait(&self.restart, self.quick_ends, &mut self.rng);
        self.quick_ends = self.quick_ends.saturating_add(1);
        self.phase = Phase::Pausing {
            until: now + wait,
            wait,
        };
        self.log(Event::RestartsIn {
            reason,
            ran_for,
            wait,
            crash_loop: (self.quick_ends >= CRASH_LOOP_ENDS).then_some(self.quick_ends),
        });
    }

    fn fail(&mut self, reason: String) {
        self.finish(Outcome::Failed(reason));
    }

    fn finish(&mut self, outcome: Outcome) {
        self.log(match &outcome {
            Outcome::Completed => Event::Completed,
            Outcome::Failed(reason) => Event::Failed(reason.clone()),
            Outcome::Stopped => Event::Stopped(self.last_exit.filter(|_| self.has_process())),
        });
        self.phase = Phase::Done(outcome);
    }

    fn log(&mut self, event: Event) {
        self.actions.push(Action::Log(event));
    }
}

#[cfg(test)]
mod tests;
