//! How a process is ended: drain, ask, kill; and what follows its end.

use std::time::Duration;

use mainstay_base::Timestamp;

use super::{Action, Event, Machine, Outcome, Phase};
use crate::{Exit, Restart};

/// How long killing may take before the processes are given up; longer than the guard itself tries.
const KILL_LIMIT: Duration = Duration::from_secs(8);

/// What the surroundings get on top of the drain time before they are no longer waited for.
const DRAIN_MARGIN: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Ending {
    pub(super) why: Why,
    pub(super) step: Step,
    /// When the next harder step is taken.
    pub(super) until: Timestamp,
    pub(super) exit: Option<Exit>,
    pub(super) ran_for: Duration,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
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
pub(super) enum Step {
    /// Gets no new calls.
    Draining,
    /// Was sent the stop signal, or ended with others of its processes left.
    Signalled,
    /// Was killed.
    Killed,
}

impl Machine {
    /// Begins to end the process, or goes on with that for a new reason or in a harder way.
    pub(super) fn end(&mut self, why: Why, step: Step, now: Timestamp) {
        match &mut self.phase {
            Phase::Ending(ending) => {
                // The last word counts, but no failure on the way takes back that it shall stop.
                if ending.why != Why::Asked || why == Why::Restart {
                    ending.why = why;
                }
                if step == Step::Killed && ending.step != Step::Killed {
                    self.take_step(Step::Killed, now);
                }
            }
            Phase::Launching { .. } | Phase::Running(_) => {
                // What never took calls has none to wait for. A program that is only being started may run by now,
                // without its report having come, so it is asked to end like any other.
                let in_traffic = matches!(&self.phase, Phase::Running(running) if running.was_ready());
                let step = match step {
                    Step::Draining if !in_traffic => Step::Signalled,
                    step => step,
                };
                self.begin_ending(why, None, now);
                self.take_step(step, now);
            }
            Phase::Waiting(_) | Phase::Pausing { .. } | Phase::Done(_) => {}
        }
    }

    /// The process counts as ending from now on; without a step of its own, what is left of it is killed at the limit.
    fn begin_ending(&mut self, why: Why, exit: Option<Exit>, now: Timestamp) {
        let ran_for = match &self.phase {
            Phase::Running(running) => running.ran_for(now),
            _ => Duration::ZERO,
        };
        self.phase = Phase::Ending(Ending {
            why,
            step: Step::Signalled,
            until: now + KILL_LIMIT,
            exit,
            ran_for,
        });
    }

    pub(super) fn take_step(&mut self, step: Step, now: Timestamp) {
        let Phase::Ending(ending) = &mut self.phase else {
            return;
        };
        let step = match step {
            Step::Draining if self.stop.drain.is_zero() => Step::Signalled,
            step => step,
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

    pub(super) fn drained(&mut self, now: Timestamp) {
        if matches!(&self.phase, Phase::Ending(ending) if ending.step == Step::Draining) {
            self.take_step(Step::Signalled, now);
        }
    }

    /// The main process has ended. Its guard ends what it left, after the stop signal within the grace.
    pub(super) fn ended(&mut self, exit: Exit, now: Timestamp) {
        self.last_exit = Some(exit);
        match &mut self.phase {
            Phase::Ending(ending) => {
                ending.exit = Some(exit);
                // Its calls have ended with it.
                if ending.step == Step::Draining {
                    ending.step = Step::Signalled;
                    ending.until = now + KILL_LIMIT;
                }
            }
            Phase::Launching { .. } | Phase::Running(_) => self.begin_ending(Why::Itself, Some(exit), now),
            Phase::Waiting(_) | Phase::Pausing { .. } | Phase::Done(_) => {}
        }
    }

    /// No process is left.
    pub(super) fn gone(&mut self, now: Timestamp) {
        // Without an exit status the guard could not start the program, or was itself killed, and the app with it.
        let failure = |reason: &str| Why::Failure(reason.to_owned());
        match &self.phase {
            Phase::Launching { .. } => self.begin_ending(failure("its guard could not run"), None, now),
            Phase::Running(_) => self.begin_ending(failure("its guard was killed"), None, now),
            Phase::Waiting(_) | Phase::Ending(_) | Phase::Pausing { .. } | Phase::Done(_) => {}
        }
        let Phase::Ending(ending) = &self.phase else {
            return;
        };
        let (exit, ran_for) = (ending.exit, ending.ran_for);
        match ending.why.clone() {
            Why::Asked => self.finish(Outcome::Stopped),
            Why::Restart => self.start(now),
            Why::Refused(reason) => self.fail(reason),
            Why::Failure(reason) if self.restart.restart == Restart::Never => self.fail(reason),
            Why::Failure(reason) => self.again(reason, ran_for, now),
            Why::Itself => self.ended_itself(exit.unwrap_or(Exit::Signal(9)), ran_for, now),
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
}
