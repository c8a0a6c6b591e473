//! Probes of every kind against real processes.

use std::net::TcpListener;
use std::time::Duration;

use mainstay_host::{Probe, ProbeAction, ReplicaState};

use crate::support::{Outside, World, app, dir, shell};

fn probe(action: ProbeAction) -> Probe {
    Probe {
        action,
        initial_delay: Duration::ZERO,
        period: Duration::from_millis(20),
        timeout: Duration::from_secs(5),
        success_threshold: 1,
        failure_threshold: 1,
    }
}

fn exec(script: &str) -> Probe {
    probe(ProbeAction::Exec {
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
    })
}

fn http() -> Probe {
    probe(ProbeAction::Http {
        path: "/health".to_owned(),
        port: None,
    })
}

#[tokio::test]
async fn with_a_port_it_is_ready_once_someone_listens_there() {
    let outside = Outside::with_ports(&["web"]);
    let world = World::start_with(vec![shell("web", "echo port $PORT; sleep 1000")], outside);
    let status = world.until("web", 1, |status| status.pid.is_some()).await;
    let port = status.port.unwrap();
    world.until_line(&format!("port {port}")).await;
    assert_eq!(world.replica("web", 1).state, ReplicaState::Starting);
    // The test listens in the app's place.
    let _listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    world.until_state("web", ReplicaState::Ready).await;
    world.stop().await;
}

#[tokio::test]
async fn an_http_probe_asks_the_replicas_port_and_takes_it_out_of_traffic() {
    let outside = Outside::with_ports(&["web"]);
    outside.answer(&Err("answered 503".to_owned()));
    let mut spec = shell("web", "sleep 1000");
    spec.probes.readiness = Some(http());
    let world = World::start_with(vec![spec], outside);
    let port = world.until("web", 1, |status| status.pid.is_some()).await.port;
    world
        .outside
        .until_asked(&format!("GET {}/health", port.unwrap()))
        .await;
    assert_eq!(world.replica("web", 1).state, ReplicaState::Starting);
    world.outside.answer(&Ok(()));
    world.until_state("web", ReplicaState::Ready).await;
    world.outside.answer(&Err("answered 500".to_owned()));
    let reason = "its readiness probe failed: answered 500".to_owned();
    world.until_state("web", ReplicaState::Unready(reason)).await;
    world.outside.answer(&Ok(()));
    world.until_state("web", ReplicaState::Ready).await;
    assert_eq!(world.replica("web", 1).restarts, 0);
    world.stop().await;
}

#[tokio::test]
async fn an_exec_probe_runs_where_the_app_runs() {
    let dir = dir();
    let mut spec = shell("db", "sleep 1000");
    spec.dir = dir.path().to_owned();
    spec.env = vec![("FLAG".to_owned(), "flag".to_owned())];
    spec.probes.readiness = Some(exec("test -e ./$FLAG-$REPLICA"));
    let world = World::start(vec![spec]);
    world.until("db", 1, |status| status.pid.is_some()).await;
    std::fs::write(dir.path().join("flag-db-1"), "").unwrap();
    world.until_state("db", ReplicaState::Ready).await;
    world.stop().await;
}

#[tokio::test]
async fn a_line_of_output_makes_it_ready_at_once() {
    let dir = dir();
    let gate = dir.path().join("gate");
    let script = format!(
        "until test -e {}; do sleep 0.02; done; echo now ready to accept >&2; sleep 1000",
        gate.display()
    );
    let mut spec = shell("db", &script);
    spec.probes.readiness = Some(Probe {
        period: Duration::from_hours(1),
        ..probe(ProbeAction::Log {
            contains: "ready to accept".to_owned(),
        })
    });
    let world = World::start(vec![spec]);
    world.until("db", 1, |status| status.pid.is_some()).await;
    assert_eq!(world.replica("db", 1).state, ReplicaState::Starting);
    std::fs::write(&gate, "").unwrap();
    world.until_state("db", ReplicaState::Ready).await;
    let log = world.log().await;
    let position = |text: &str| log.iter().position(|line| line.contains(text)).unwrap();
    assert!(
        position("now ready to accept") < position("ready after"),
        "{log:?}"
    );
    world.stop().await;
}

#[tokio::test]
async fn a_failed_startup_probe_restarts_with_the_reason() {
    let mut spec = shell("db", "sleep 1000");
    spec.probes.startup = Some(exec("echo no such table >&2; exit 2"));
    let world = World::start(vec![spec]);
    world.until("db", 1, |status| status.restarts >= 2).await;
    world
        .until_line("its startup probe failed: `sh`: exit code 2: no such table")
        .await;
    assert!(!world.replica("db", 1).was_ready);
    world.stop().await;
}

#[tokio::test]
async fn a_liveness_probe_that_hangs_counts_as_failed_and_leaves_nothing() {
    let dir = dir();
    let pid_file = dir.path().join("pid");
    let mut spec = shell("web", "sleep 1000");
    spec.probes.liveness = Some(Probe {
        timeout: Duration::from_millis(300),
        ..exec(&format!("echo $$ > {}; sleep 1000", pid_file.display()))
    });
    let world = World::start(vec![spec]);
    world
        .until_line("has to end: its liveness probe failed: no answer within 300ms")
        .await;
    world.until("web", 1, |status| status.restarts >= 1).await;
    let probe = crate::support::pid_in(&pid_file).await;
    world.stop().await;
    crate::support::until_gone(probe).await;
}

#[tokio::test]
async fn a_missing_probe_command_is_named() {
    let mut spec = shell("web", "sleep 1000");
    spec.probes.liveness = Some(probe(ProbeAction::Exec {
        command: vec!["./no-such-check".to_owned()],
    }));
    let world = World::start(vec![spec]);
    world
        .until_line("its liveness probe failed: there is no program `./no-such-check`")
        .await;
    world.stop().await;
}

#[tokio::test]
async fn a_port_that_cannot_be_had_is_told_and_tried_again() {
    let outside = Outside::with_ports(&["web"]);
    outside.refuse(Some("port 80 is taken by nginx"));
    let world = World::start_with(vec![shell("web", "sleep 1000")], outside);
    world.until_line("port 80 is taken by nginx; next start in").await;
    world
        .until("web", 1, |status| {
            matches!(status.state, ReplicaState::CrashLoop(_))
        })
        .await;
    world.outside.refuse(None);
    let port = world.until("web", 1, |status| status.pid.is_some()).await.port;
    assert!(port.is_some());
    assert_eq!(world.replica("web", 1).id.app, app("web"));
    world.stop().await;
}
