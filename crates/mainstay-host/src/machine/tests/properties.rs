//! What holds whatever happens in whatever order.

use proptest::prelude::*;

use super::*;

/// Something that may happen.
#[derive(Clone, Copy, Debug)]
enum Step {
    NeedsMet,
    NeedsImpossible,
    /// The guard says that the program runs, or does not.
    Launched {
        good: bool,
    },
    Ended(Exit),
    Gone,
    Probed(ProbeKind, bool),
    Drained,
    Restart,
    Stop,
    Kill,
    Pass(Duration),
}

fn step() -> impl Strategy<Value = Step> {
    let kind = prop_oneof![
        Just(ProbeKind::Startup),
        Just(ProbeKind::Readiness),
        Just(ProbeKind::Liveness)
    ];
    let exit = prop_oneof![Just(Exit::Code(0)), Just(Exit::Code(1)), Just(Exit::Signal(9))];
    prop_oneof![
        2 => Just(Step::NeedsMet),
        1 => Just(Step::NeedsImpossible),
        4 => prop_oneof![4 => Just(true), 1 => Just(false)].prop_map(|good| Step::Launched { good }),
        3 => exit.prop_map(Step::Ended),
        4 => Just(Step::Gone),
        8 => (kind, any::<bool>()).prop_map(|(kind, good)| Step::Probed(kind, good)),
        2 => Just(Step::Drained),
        1 => Just(Step::Restart),
        1 => Just(Step::Stop),
        1 => Just(Step::Kill),
        6 => (0_u64..15_000).prop_map(|millis| Step::Pass(ms(millis))),
    ]
}

/// What exists outside of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Process {
    None,
    Launching,
    Running,
    /// Its main process has ended.
    Ended,
}

/// The machine in a world that keeps to the contract of its shell.
struct World {
    machine: Machine,
    spec: AppSpec,
    now: Timestamp,
    process: Process,
    /// The startup probe has succeeded since the process started.
    startup_good: bool,
    stopped: bool,
    starts_fail: Vec<Option<bool>>,
}

impl World {
    fn new(spec: AppSpec, starts_fail: Vec<Option<bool>>) -> Self {
        Self {
            machine: Machine::new(&spec, 1),
            spec,
            now: Timestamp::ZERO,
            process: Process::None,
            startup_good: false,
            stopped: false,
            starts_fail,
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::NeedsMet => self.apply(Input::Needs(Verdict::Met)),
            Step::NeedsImpossible => self.apply(Input::Needs(Verdict::Impossible("never".to_owned()))),
            Step::Launched { good: true } if self.process == Process::Launching => {
                self.process = Process::Running;
                self.apply(Input::Started { pid: 1, port: None });
            }
            Step::Launched { good: false } if self.process == Process::Launching => {
                self.apply(Input::Refused {
                    reason: "refused".to_owned(),
                    for_good: true,
                });
            }
            Step::Ended(exit) if matches!(self.process, Process::Launching | Process::Running) => {
                self.process = Process::Ended;
                self.apply(Input::Ended(exit));
            }
            Step::Gone if self.process != Process::None => {
                self.process = Process::None;
                self.apply(Input::Gone);
            }
            Step::Probed(kind, good) if self.process == Process::Running => {
                self.startup_good |= good && kind == ProbeKind::Startup;
                let result = if good { Ok(()) } else { Err("bad".to_owned()) };
                self.apply(Input::Probed(kind, result));
            }
            Step::Drained => self.apply(Input::Drained),
            Step::Restart => {
                self.stopped = false;
                self.apply(Input::Restart);
            }
            Step::Stop | Step::Kill => {
                self.stopped = true;
                self.apply(if matches!(step, Step::Stop) {
                    Input::Stop
                } else {
                    Input::Kill
                });
            }
            Step::Pass(time) => {
                self.now = self.now + time;
                self.apply(Input::Tick);
            }
            Step::Launched { .. } | Step::Ended(_) | Step::Gone | Step::Probed(..) => {}
        }
    }

    fn apply(&mut self, input: Input) {
        for action in self.machine.apply(input, self.now) {
            match action {
                Action::Start => {
                    assert_eq!(self.process, Process::None, "a second process");
                    assert!(!self.stopped, "a start after the stop");
                    self.startup_good = false;
                    match self.starts_fail.pop().flatten() {
                        None => self.process = Process::Launching,
                        Some(for_good) => {
                            let reason = "no".to_owned();
                            self.apply(if for_good {
                                Input::Unstartable(reason)
                            } else {
                                Input::Unavailable(reason)
                            });
                        }
                    }
                }
                Action::Abandon => self.process = Process::None,
                Action::Probe(_) => assert_eq!(self.process, Process::Running, "a probe of nothing"),
                Action::Drain(_) | Action::Signal(_) | Action::Kill | Action::Log(_) => {}
            }
        }
        self.check();
    }

    fn check(&self) {
        let exists = self.process != Process::None;
        assert_eq!(self.machine.has_process(), exists, "{:?}", self.machine);
        match self.machine.state() {
            ReplicaState::Ready => {
                let held_back = self.spec.probes.startup.is_some() && !self.startup_good;
                assert!(self.process == Process::Running && !held_back);
            }
            ReplicaState::BackOff(wait) | ReplicaState::CrashLoop(wait) => {
                let RestartPolicy {
                    backoff_min,
                    backoff_max,
                    ..
                } = self.spec.restart;
                assert!(wait <= backoff_max && wait >= backoff_min.min(backoff_max).mul_f64(0.75));
            }
            ReplicaState::Starting | ReplicaState::Draining | ReplicaState::Stopping => {
                assert!(
                    self.machine.deadline().is_some(),
                    "waits for ever: {:?}",
                    self.machine
                );
            }
            _ => {}
        }
    }

    fn at_rest(&self) -> bool {
        crate::needs::is_at_rest(&self.machine.state())
    }
}

fn specs() -> impl Strategy<Value = AppSpec> {
    let restart = prop_oneof![
        Just(Restart::Always),
        Just(Restart::OnFailure),
        Just(Restart::Never)
    ];
    let some_probe = || proptest::option::of((1_u32..4).prop_map(probe));
    let probes = (some_probe(), some_probe(), some_probe());
    let max = proptest::option::of(0_u32..4);
    (restart, probes, max, 0_u64..3_000).prop_map(|(restart, probes, max_restarts, drain)| {
        let mut spec = spec();
        spec.restart.restart = restart;
        spec.restart.max_restarts = max_restarts;
        spec.stop.drain = ms(drain);
        (spec.probes.startup, spec.probes.readiness, spec.probes.liveness) = probes;
        spec
    })
}

fn starts_fail() -> impl Strategy<Value = Vec<Option<bool>>> {
    let fails = prop_oneof![6 => Just(None), 1 => any::<bool>().prop_map(Some)];
    proptest::collection::vec(fails, 0..20)
}

proptest! {
    /// One process at a time, ready only after startup, bounded waits, no start after a stop.
    #[test]
    fn the_rules_hold(
        spec in specs(),
        starts_fail in starts_fail(),
        steps in proptest::collection::vec(step(), 0..200),
    ) {
        let mut world = World::new(spec, starts_fail);
        for step in steps {
            world.take(step);
        }
    }

    /// Even of a process that ignores everything: drained, asked, killed, given up.
    #[test]
    fn a_stop_always_ends(
        spec in specs(),
        starts_fail in starts_fail(),
        steps in proptest::collection::vec(step(), 0..60),
    ) {
        let mut world = World::new(spec.clone(), starts_fail);
        for step in steps {
            world.take(step);
        }
        world.take(Step::Stop);
        let begun = world.now;
        for _ in 0..4 {
            if let Some(deadline) = world.machine.deadline() {
                let rest = deadline.since(world.now);
                world.take(Step::Pass(rest));
            }
        }
        prop_assert!(world.at_rest(), "{:?}", world.machine);
        let longest = spec.stop.drain + spec.stop.grace + ms(500 + 8_000);
        prop_assert!(world.now.since(begun) <= longest);
    }
}
