//! What a user sees, step by step.

use super::*;

/// A machine with its clock.
struct Bench {
    machine: Machine,
    now: Timestamp,
}

impl Bench {
    fn new(spec: &AppSpec) -> Self {
        Self {
            machine: Machine::new(spec, 7),
            now: Timestamp::ZERO,
        }
    }

    /// Past its needs, with a process.
    fn started(spec: &AppSpec, port: Option<u16>) -> (Self, Vec<Action>) {
        let mut bench = Self::new(spec);
        assert_eq!(bench.apply(Input::Needs(Verdict::Met)), [Action::Start]);
        let actions = bench.apply(Input::Started { pid: 42, port });
        (bench, actions)
    }

    fn apply(&mut self, input: Input) -> Vec<Action> {
        self.machine.apply(input, self.now)
    }

    /// Lets time pass to the machine's next deadline; gives how long that was.
    fn tick(&mut self) -> (Duration, Vec<Action>) {
        let deadline = self.machine.deadline().expect("a deadline");
        let passed = deadline.since(self.now);
        self.now = self.now.max(deadline);
        (passed, self.apply(Input::Tick))
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    fn state(&self) -> ReplicaState {
        self.machine.state()
    }
}

fn probes(actions: &[Action]) -> Vec<ProbeKind> {
    let kind = |action: &Action| match action {
        Action::Probe(wanted) => Some(wanted.kind),
        _ => None,
    };
    actions.iter().filter_map(kind).collect()
}

fn log(actions: &[Action]) -> Vec<String> {
    let text = |action: &Action| match action {
        Action::Log(event) => Some(event.to_string()),
        _ => None,
    };
    actions.iter().filter_map(text).collect()
}

#[test]
fn it_waits_by_name_says_so_once_and_starts() {
    let mut bench = Bench::new(&spec());
    let waiting = || Input::Needs(Verdict::Waiting(vec!["db (healthy)".to_owned()]));
    assert_eq!(log(&bench.apply(waiting())), ["waits for db (healthy)"]);
    assert_eq!(bench.apply(waiting()), []);
    assert_eq!(
        bench.state(),
        ReplicaState::Waiting(vec!["db (healthy)".to_owned()])
    );
    assert_eq!(bench.apply(Input::Needs(Verdict::Met)), [Action::Start]);
    assert_eq!(bench.apply(Input::Needs(Verdict::Met)), []);
}

#[test]
fn without_port_and_probes_it_is_ready_once_it_runs() {
    let (bench, actions) = Bench::started(&spec(), None);
    assert_eq!(log(&actions), ["started: process 42", "ready after 0"]);
    assert_eq!(bench.state(), ReplicaState::Ready);
    assert_eq!(bench.machine.deadline(), None);
}

#[test]
fn with_a_port_it_is_ready_once_that_accepts_and_is_not_asked_again() {
    let (mut bench, actions) = Bench::started(&spec(), Some(8080));
    assert_eq!(probes(&actions), [ProbeKind::Readiness]);
    let mut waits = Vec::new();
    for _ in 0..7 {
        assert_eq!(bench.state(), ReplicaState::Starting);
        bench.apply(Input::Probed(
            ProbeKind::Readiness,
            Err("connection refused".to_owned()),
        ));
        let (passed, actions) = bench.tick();
        waits.push(passed.as_millis());
        assert_eq!(probes(&actions), [ProbeKind::Readiness]);
    }
    // Eager at first, then with the probe's period.
    assert_eq!(waits, [50, 100, 200, 400, 800, 1000, 1000]);
    let actions = bench.apply(Input::Probed(ProbeKind::Readiness, Ok(())));
    assert_eq!(log(&actions), ["ready after 3.55s"]);
    assert_eq!(
        (bench.state(), bench.machine.deadline()),
        (ReplicaState::Ready, None)
    );
}

#[test]
fn an_app_that_binds_late_or_never_says_what_is_missing() {
    let (mut bench, _) = Bench::started(&spec(), Some(8080));
    let mut told = Vec::new();
    while bench.now.since(Timestamp::ZERO) < ms(90_000) {
        bench.apply(Input::Probed(
            ProbeKind::Readiness,
            Err("connection refused".to_owned()),
        ));
        let late = bench.now.since(Timestamp::ZERO) >= ms(30_000);
        assert_eq!(matches!(bench.state(), ReplicaState::Unready(_)), late);
        told.extend(log(&bench.tick().1));
    }
    let what = "waits for port 8080 to accept connections; does it listen on $PORT?";
    let times = ["5s", "10s", "20s", "40s", "1m20s"];
    assert_eq!(told, times.map(|time| format!("not ready after {time}: {what}")));
    assert_eq!(bench.state(), ReplicaState::Unready(what.to_owned()));
    bench.apply(Input::Probed(ProbeKind::Readiness, Ok(())));
    assert_eq!(bench.state(), ReplicaState::Ready);
}

#[test]
fn startup_holds_back_the_others_and_its_failure_ends_the_process() {
    let mut spec = spec();
    spec.probes = Probes {
        startup: Some(probe(2)),
        readiness: Some(probe(1)),
        liveness: Some(probe(1)),
    };
    let (mut bench, actions) = Bench::started(&spec, None);
    assert_eq!(probes(&actions), [ProbeKind::Startup]);
    let failed = || Input::Probed(ProbeKind::Startup, Err("not yet".to_owned()));
    assert_eq!(bench.apply(failed()), []);
    let (passed, actions) = bench.tick();
    assert_eq!((passed, probes(&actions)), (ms(1000), vec![ProbeKind::Startup]));

    let actions = bench.apply(failed());
    assert_eq!(log(&actions)[0], "has to end: its startup probe failed: not yet");
    assert!(actions.contains(&Action::Signal(15)));
    bench.apply(Input::Ended(Exit::Code(0)));
    bench.apply(Input::Gone);
    assert!(matches!(bench.state(), ReplicaState::BackOff(_)));

    assert_eq!(bench.tick().1, [Action::Start]);
    bench.apply(Input::Started { pid: 43, port: None });
    let actions = bench.apply(Input::Probed(ProbeKind::Startup, Ok(())));
    assert_eq!(probes(&actions), [ProbeKind::Readiness, ProbeKind::Liveness]);
    assert_eq!(bench.state(), ReplicaState::Starting);
    bench.apply(Input::Probed(ProbeKind::Readiness, Ok(())));
    assert_eq!(bench.state(), ReplicaState::Ready);
}

#[test]
fn readiness_comes_and_goes_at_its_thresholds() {
    let mut spec = spec();
    spec.probes.readiness = Some(Probe {
        success_threshold: 2,
        ..probe(3)
    });
    let (mut bench, _) = Bench::started(&spec, Some(1));
    let mut see = |good: bool| {
        let result = if good {
            Ok(())
        } else {
            Err("answered 503".to_owned())
        };
        bench.apply(Input::Probed(ProbeKind::Readiness, result));
        let state = bench.state();
        bench.tick();
        state
    };
    let unready = || ReplicaState::Unready("its readiness probe failed: answered 503".to_owned());
    let expected = [
        (true, ReplicaState::Starting),
        (true, ReplicaState::Ready),
        (false, ReplicaState::Ready),
        (false, ReplicaState::Ready),
        (true, ReplicaState::Ready),
        (false, ReplicaState::Ready),
        (false, ReplicaState::Ready),
        (false, unready()),
        (true, unready()),
        (true, ReplicaState::Ready),
    ];
    for (number, (good, state)) in expected.into_iter().enumerate() {
        assert_eq!(see(good), state, "probe {number}");
    }
}

#[test]
fn liveness_restarts_even_after_a_clean_end() {
    let mut spec = spec();
    spec.probes.liveness = Some(probe(1));
    let (mut bench, _) = Bench::started(&spec, None);
    bench.pass(ms(2_000));
    let actions = bench.apply(Input::Probed(ProbeKind::Liveness, Err("hangs".to_owned())));
    assert!(actions.contains(&Action::Signal(15)) && !actions.contains(&Action::Drain(ms(2_000))));
    bench.apply(Input::Ended(Exit::Code(0)));
    let actions = bench.apply(Input::Gone);
    assert!(log(&actions)[0].starts_with("its liveness probe failed: hangs after 2s; next start in"));
}

#[test]
fn a_crash_loop_grows_shows_itself_and_is_forgiven_after_calm() {
    let (mut bench, _) = Bench::started(&spec(), None);
    let mut crash = |run_for: Duration| {
        bench.pass(run_for);
        bench.apply(Input::Ended(Exit::Code(1)));
        let wants_output = bench.apply(Input::Gone).iter().any(|action| match action {
            Action::Log(event) => event.wants_output(),
            _ => false,
        });
        let state = bench.state();
        let (wait, actions) = bench.tick();
        assert_eq!(actions, [Action::Start]);
        bench.apply(Input::Started { pid: 1, port: None });
        (matches!(state, ReplicaState::CrashLoop(_)), wants_output, wait)
    };
    for round in 0..12 {
        let (crash_loop, wants_output, wait) = crash(ms(10));
        assert_eq!(
            (crash_loop, wants_output),
            (round >= 4, round >= 4),
            "round {round}"
        );
        let full = ms(100 << round).min(ms(10_000));
        assert!(
            wait <= full && wait >= full.mul_f64(0.75),
            "round {round}: {wait:?}"
        );
    }
    let (crash_loop, _, wait) = crash(ms(60_000));
    assert!(!crash_loop && wait <= ms(100));
}

#[test]
fn what_follows_an_end_is_the_policy() {
    let wait = |state: &ReplicaState| matches!(state, ReplicaState::BackOff(_));
    let cases = [
        (Restart::Always, Exit::Code(0), "again"),
        (Restart::Always, Exit::Signal(9), "again"),
        (Restart::OnFailure, Exit::Code(0), "completed"),
        (Restart::OnFailure, Exit::Code(1), "again"),
        (Restart::OnFailure, Exit::Signal(15), "again"),
        (Restart::Never, Exit::Code(0), "completed"),
        (Restart::Never, Exit::Code(1), "failed"),
    ];
    for (restart, exit, expected) in cases {
        let mut spec = spec();
        spec.restart.restart = restart;
        let (mut bench, _) = Bench::started(&spec, None);
        bench.apply(Input::Ended(exit));
        bench.apply(Input::Gone);
        let seen = match bench.state() {
            ReplicaState::Completed => "completed",
            ReplicaState::Failed(_) => "failed",
            state if wait(&state) => "again",
            state => panic!("{state:?}"),
        };
        assert_eq!(seen, expected, "{restart:?} {exit:?}");
    }
}

#[test]
fn a_stop_drains_asks_and_kills_each_in_its_time() {
    let (mut bench, _) = Bench::started(&spec(), None);
    assert_eq!(bench.apply(Input::Stop), [Action::Drain(ms(2_000))]);
    assert_eq!(bench.state(), ReplicaState::Draining);
    let (passed, actions) = bench.tick();
    assert_eq!(passed, ms(2_500));
    assert!(actions.contains(&Action::Signal(15)));
    assert_eq!(bench.state(), ReplicaState::Stopping);
    let (passed, actions) = bench.tick();
    assert_eq!((passed, actions.contains(&Action::Kill)), (ms(10_000), true));
    assert_eq!(log(&actions), ["did not end within 10s: killed"]);
    bench.apply(Input::Ended(Exit::Signal(9)));
    assert_eq!(log(&bench.apply(Input::Gone)), ["stopped: killed by SIGKILL"]);
    assert_eq!(bench.state(), ReplicaState::Stopped);
}

#[test]
fn a_drain_that_is_done_early_shortens_the_stop_and_a_kill_all_the_more() {
    let (mut bench, _) = Bench::started(&spec(), None);
    bench.apply(Input::Stop);
    assert!(bench.apply(Input::Drained).contains(&Action::Signal(15)));
    assert_eq!(bench.apply(Input::Kill), [Action::Kill]);
    assert_eq!(bench.apply(Input::Kill), []);
}

#[test]
fn what_was_never_ready_is_not_drained() {
    let (mut bench, _) = Bench::started(&spec(), Some(8080));
    assert!(bench.apply(Input::Stop).contains(&Action::Signal(15)));
}

#[test]
fn a_restart_on_purpose_drains_and_starts_without_a_wait() {
    let (mut bench, _) = Bench::started(&spec(), None);
    assert_eq!(bench.apply(Input::Restart), [Action::Drain(ms(2_000))]);
    bench.apply(Input::Drained);
    bench.apply(Input::Ended(Exit::Signal(15)));
    assert_eq!(bench.apply(Input::Gone), [Action::Start]);
    assert_eq!(bench.machine.restarts(), 1);
    // Also from a state in which nothing runs.
    bench.apply(Input::Unstartable("no such program".to_owned()));
    assert_eq!(bench.state(), ReplicaState::Failed("no such program".to_owned()));
    assert_eq!(bench.apply(Input::Restart), [Action::Start]);
}

#[test]
fn a_restart_does_not_skip_the_needs_of_the_first_start() {
    let mut bench = Bench::new(&spec());
    bench.apply(Input::Needs(Verdict::Impossible("needs db".to_owned())));
    assert_eq!(bench.state(), ReplicaState::Failed("needs db".to_owned()));
    assert_eq!(bench.apply(Input::Restart), []);
    assert_eq!(bench.state(), ReplicaState::Waiting(Vec::new()));
    assert_eq!(bench.apply(Input::Needs(Verdict::Met)), [Action::Start]);
}

#[test]
fn of_stop_and_restart_the_last_word_counts() {
    for (inputs, started) in [
        ([Input::Restart, Input::Stop], false),
        ([Input::Stop, Input::Restart], true),
    ] {
        let (mut bench, _) = Bench::started(&spec(), None);
        for input in inputs {
            bench.apply(input);
        }
        bench.apply(Input::Ended(Exit::Code(0)));
        assert_eq!(bench.apply(Input::Gone).contains(&Action::Start), started);
    }
}

#[test]
fn a_refused_program_fails_for_good_only_when_it_would_be_refused_again() {
    for for_good in [true, false] {
        let mut bench = Bench::new(&spec());
        bench.apply(Input::Needs(Verdict::Met));
        let reason = "bad format".to_owned();
        assert_eq!(bench.apply(Input::Refused { reason, for_good }), [Action::Kill]);
        bench.apply(Input::Ended(Exit::Code(127)));
        bench.apply(Input::Gone);
        assert_eq!(matches!(bench.state(), ReplicaState::Failed(_)), for_good);
        assert_eq!(matches!(bench.state(), ReplicaState::BackOff(_)), !for_good);
    }
}

#[test]
fn a_lost_guard_is_a_failure() {
    let (mut bench, _) = Bench::started(&spec(), None);
    let actions = bench.apply(Input::Gone);
    assert!(
        log(&actions)[0].starts_with("its guard was killed; next start in"),
        "{actions:?}"
    );
}
