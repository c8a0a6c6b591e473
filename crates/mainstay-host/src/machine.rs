//! What one replica does next: `(state, input, now) -> (state, actions)`, without I/O or a clock.
//!
//! The shell (`replica.rs`) carries out the actions and reports what happened. What holds between the two: after
//! [`Action::Start`] comes either [`Input::Unstartable`] or [`Input::Unavailable`] (no process exists), or in the end
//! [`Input::Gone`] (none exists any more). A further `Start` is only given after that.

mod backoff;
mod check;
mod event;
mod running;

use std::time::Duration;

use mainstay_base::{SplitMix64, Timestamp};

use crate::needs::Verdict;
use crate::{AppSpec, Exit, Probes, ReplicaState, Restart, RestartPolicy, StopPolicy};
pub(crate) use check::{ProbeKind, Try};
pub(crate) use event::Event;
use running::{Finding, Running};

/// How long a guard may take from its start to running the program.
const LAUNCH_LIMIT: Duration = Duration::from_secs(10);

/// How long killing may take before the processes are given up; longer than the guard itself tries.
const KILL_LIMIT: Duration = Duration::from_secs(8);

/// What the surroundings get on top of the drain time before they are no longer waited for.
const DRAIN_MARGIN: Duration = Duration::from_millis(500);

/// Quick ends in a row that make a crash loop (as many as systemd's default `StartLimitBurst`).
const CRASH_LOOP_ENDS: u32 = 5;

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// How the needs stand; of interest until they are met.
    Needs(Verdict),
    /// No process was started, and none can be: no such command.
    Unstartable(String),
    /// No process was started this time: no free port, no memory.
    Unavailable(String),
    /// The program runs.
    Started { pid: u32, port: Option<u16> },
    /// The operating system refused the program.
    Refused(String),
    /// The main process ended; others may still be there.
    Ended(Exit),
    /// So many processes were still there after the end of the main process.
    Left(u32),
    /// No process is left.
    Gone,
    /// A probe that was asked for gave its result, or a log line fulfilled one.
    Probed(ProbeKind, Result<(), String>),
    /// The surroundings have drained.
    Drained,
    /// Stop for good.
    Stop,
    /// Stop for good, at once.
    Kill,
    /// Stop and start anew, or start anew at once.
    Restart,
    /// Time has passed, see [`Machine::deadline`].
    Tick,
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Action {
    /// Prepare and start the process.
    Start,
    /// Make one probe and report its result.
    Probe(Try),
    /// Let the surroundings drain.
    Drain(Duration),
    /// Send this signal to the process group.
    Signal(i32),
    /// Kill everything.
    Kill,
    /// Nothing helps: forget the processes.
    Abandon,
    /// Tell the user.
    Log(Event),
}

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

#[derive(Debug)]
struct Ending {
    why: Why,
    step: Step,
    /// When the next harder step is taken.
    until: Timestamp,
    exit: Option<Exit>,
    ran_for: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Why {
    /// It ended by itself.
    Itself,
    /// Stopped on purpose.
    Asked,
    /// Will be started again on purpose.
    Restart,
    /// A probe demands it, or it did not start: counts as a failure whatever the exit code.
    Failure(String),
    /// The program cannot be run.
    Refused(String),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    /// Gets no new calls.
    Draining,
    /// Was sent the stop signal, or ended with others of its processes left.
    Signalled,
    /// Was killed.
    Killed,
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
            Input::Refused(reason) => self.end(Why::Refused(reason), Step::Killed, now),
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
            Phase::Launching { .. } => self.end(Why::Asked, Step::Killed, now),
            Phase::Running(_) | Phase::Ending(_) => self.end(Why::Asked, step, now),
            Phase::Done(_) => {}
        }
    }

    fn restart(&mut self, now: Timestamp) {
        self.quick_ends = 0;
        match &self.phase {
            Phase::Waiting(_) => {}
            Phase::Pausing { .. } | Phase::Done(_) => self.start(now),
            Phase::Launching { .. } => self.end(Why::Restart, Step::Killed, now),
            Phase::Running(_) | Phase::Ending(_) => self.end(Why::Restart, Step::Draining, now),
        }
    }

    /// Begins to end the process, or goes on with that for a new reason or in a harder way.
    fn end(&mut self, why: Why, step: Step, now: Timestamp) {
        match &mut self.phase {
            Phase::Ending(ending) => {
                // Nothing overrides that it shall stop.
                if ending.why != Why::Asked {
                    ending.why = why;
                }
                if step == Step::Killed && ending.step != Step::Killed {
                    self.take_step(Step::Killed, now);
                }
            }
            Phase::Launching { .. } | Phase::Running(_) => {
                let (ran_for, in_traffic) = match &self.phase {
                    Phase::Running(running) => (running.ran_for(now), running.was_ready()),
                    _ => (Duration::ZERO, false),
                };
                self.phase = Phase::Ending(Ending {
                    why,
                    step,
                    until: now,
                    exit: None,
                    ran_for,
                });
                // What never took calls has none to wait for.
                let step = if step == Step::Draining && !in_traffic {
                    Step::Signalled
                } else {
                    step
                };
                self.take_step(step, now);
            }
            Phase::Waiting(_) | Phase::Pausing { .. } | Phase::Done(_) => {}
        }
    }

    fn take_step(&mut self, step: Step, now: Timestamp) {
        let Phase::Ending(ending) = &mut self.phase else {
            return;
        };
        let step = if step == Step::Draining && self.stop.drain.is_zero() {
            Step::Signalled
        } else {
            step
        };
        ending.step = step;
        let (wait, action) = match step {
            Step::Draining => (self.stop.drain + DRAIN_MARGIN, Action::Drain(self.stop.drain)),
            Step::Signalled => (self.stop.grace, Action::Signal(self.stop.signal)),
            Step::Killed => (KILL_LIMIT, Action::Kill),
        };
        ending.until = now + wait;
        if step == Step::Signalled {
            self.actions.push(Action::Log(Event::Stopping {
                signal: self.stop.signal,
                grace: self.stop.grace,
            }));
        }
        self.actions.push(action);
    }

    fn drained(&mut self, now: Timestamp) {
        if matches!(&self.phase, Phase::Ending(ending) if ending.step == Step::Draining) {
            self.take_step(Step::Signalled, now);
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

    fn ended(&mut self, exit: Exit, now: Timestamp) {
        self.last_exit = Some(exit);
        match &mut self.phase {
            Phase::Ending(ending) => {
                ending.exit = Some(exit);
                // Calls cannot end any more.
                self.drained(now);
            }
            Phase::Launching { .. } | Phase::Running(_) => {
                let ran_for = match &self.phase {
                    Phase::Running(running) => running.ran_for(now),
                    _ => Duration::ZERO,
                };
                // The guard ends what is left by itself; the limit is for the case that it does not.
                self.phase = Phase::Ending(Ending {
                    why: Why::Itself,
                    step: Step::Signalled,
                    until: now + KILL_LIMIT,
                    exit: Some(exit),
                    ran_for,
                });
            }
            Phase::Waiting(_) | Phase::Pausing { .. } | Phase::Done(_) => {}
        }
    }

    fn gone(&mut self, now: Timestamp) {
        if matches!(self.phase, Phase::Launching { .. } | Phase::Running(_)) {
            // Not even an exit status: the guard itself was killed, and the app with it.
            self.ended(Exit::Signal(9), now);
        }
        let Phase::Ending(ending) = &self.phase else {
            return;
        };
        let (exit, ran_for) = (ending.exit.unwrap_or(Exit::Signal(9)), ending.ran_for);
        self.last_exit = Some(exit);
        match ending.why.clone() {
            Why::Asked => self.finish(Outcome::Stopped),
            Why::Restart => self.start(now),
            Why::Refused(reason) => self.fail(reason),
            Why::Failure(reason) if self.restart.restart == Restart::Never => self.fail(reason),
            Why::Failure(reason) => self.again(reason, ran_for, now),
            Why::Itself => self.ended_itself(exit, ran_for, now),
        }
    }

    fn ended_itself(&mut self, exit: Exit, ran_for: Duration, now: Timestamp) {
        let good = exit == Exit::Code(0);
        match self.restart.restart {
            Restart::Never | Restart::OnFailure if good => self.finish(Outcome::Completed),
            Restart::Never => self.fail(exit.to_string()),
            Restart::Always | Restart::OnFailure => self.again(exit.to_string(), ran_for, now),
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
