use std::time::{Duration, SystemTime};

use mainstay_base::ReplicaId;

use super::*;
use crate::{Probes, RestartPolicy, StopPolicy, Usage};

fn app(name: &str) -> AppId {
    AppId::new(name).unwrap()
}

fn spec(name: &str, restart: Restart, needed: &[(&str, Condition)]) -> AppSpec {
    let needs = needed.iter().map(|(name, condition)| Need {
        app: app(name),
        condition: *condition,
    });
    AppSpec {
        app: app(name),
        command: vec!["true".to_owned()],
        dir: "/".into(),
        env: Vec::new(),
        replicas: 1,
        needs: needs.collect(),
        probes: Probes::default(),
        restart: RestartPolicy {
            restart,
            backoff_min: Duration::ZERO,
            backoff_max: Duration::ZERO,
            calm: Duration::ZERO,
            max_restarts: None,
        },
        stop: StopPolicy {
            signal: 15,
            grace: Duration::ZERO,
            drain: Duration::ZERO,
        },
    }
}

/// The state of one app with these replicas; `was_ready` and a process for all.
fn snapshot(name: &str, states: &[ReplicaState]) -> Snapshot {
    let replicas = (1..).zip(states).map(|(index, state)| ReplicaStatus {
        id: ReplicaId {
            app: app(name),
            index,
        },
        state: state.clone(),
        pid: Some(1),
        port: None,
        restarts: 0,
        since: SystemTime::UNIX_EPOCH,
        was_ready: true,
        last_exit: None,
        usage: Usage::default(),
    });
    Snapshot {
        apps: vec![AppStatus {
            app: app(name),
            replicas: replicas.collect(),
        }],
        stopping: false,
    }
}

/// `met`, `waits` or `never` for an app that needs `db` in this way.
fn judge(condition: Condition, restart: Restart, snapshot: &Snapshot) -> &'static str {
    let specs = [
        spec("db", restart, &[]),
        spec("web", Restart::Never, &[("db", condition)]),
    ];
    match verdict(&specs[1].needs, &specs, snapshot) {
        Verdict::Met => "met",
        Verdict::Waiting(names) => {
            assert_eq!(names, [format!("db ({})", name(condition))]);
            "waits"
        }
        Verdict::Impossible(_) => "never",
    }
}

#[test]
fn each_state_meets_each_condition_or_not() {
    let wait = Duration::from_secs(1);
    let words = || "why".to_owned();
    // State; then started, healthy, completed.
    let table = [
        (ReplicaState::Waiting(Vec::new()), ["waits", "waits", "waits"]),
        (ReplicaState::Starting, ["met", "waits", "waits"]),
        (ReplicaState::Ready, ["met", "met", "waits"]),
        (ReplicaState::Unready(words()), ["met", "waits", "waits"]),
        (ReplicaState::Draining, ["waits", "waits", "waits"]),
        (ReplicaState::Stopping, ["waits", "waits", "waits"]),
        (ReplicaState::Completed, ["met", "met", "met"]),
        (ReplicaState::BackOff(wait), ["waits", "waits", "waits"]),
        (ReplicaState::CrashLoop(wait), ["waits", "waits", "waits"]),
        (ReplicaState::Failed(words()), ["never", "never", "never"]),
        (ReplicaState::Stopped, ["never", "never", "never"]),
    ];
    let conditions = [Condition::Started, Condition::Healthy, Condition::Completed];
    for (state, expected) in table {
        let snapshot = snapshot("db", &[ReplicaState::Completed, state.clone()]);
        let judged = conditions.map(|condition| judge(condition, Restart::OnFailure, &snapshot));
        assert_eq!(judged, expected, "{state:?}");
    }
}

#[test]
fn what_cannot_come_true_is_not_waited_for() {
    let ready = snapshot("db", &[ReplicaState::Ready]);
    assert_eq!(judge(Condition::Completed, Restart::Always, &ready), "never");
    assert_eq!(
        judge(Condition::Started, Restart::Always, &snapshot("other", &[])),
        "never"
    );

    let mut never_ready = snapshot("db", &[ReplicaState::Completed]);
    never_ready.apps[0].replicas[0].was_ready = false;
    assert_eq!(
        judge(Condition::Healthy, Restart::OnFailure, &never_ready),
        "never"
    );
}

#[test]
fn a_process_that_is_only_being_started_is_not_started() {
    let mut starting = snapshot("db", &[ReplicaState::Starting]);
    starting.apps[0].replicas[0].pid = None;
    assert_eq!(judge(Condition::Started, Restart::OnFailure, &starting), "waits");
}

#[test]
fn an_app_may_stop_when_those_that_need_it_are_at_rest() {
    let specs = [
        spec("db", Restart::Always, &[]),
        spec("web", Restart::Always, &[("db", Condition::Healthy)]),
    ];
    let at_rest = |name: &str, state| dependants_at_rest(&app(name), &specs, &snapshot("web", &[state]));
    assert!(!at_rest("db", ReplicaState::Ready));
    assert!(!at_rest("db", ReplicaState::Stopping));
    assert!(at_rest("db", ReplicaState::Stopped));
    assert!(at_rest("db", ReplicaState::Failed("why".to_owned())));
    assert!(at_rest("web", ReplicaState::Ready), "nothing needs it");
}
