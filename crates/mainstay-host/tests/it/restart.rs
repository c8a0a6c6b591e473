//! Rolling restarts.

use mainstay_base::AppId;
use mainstay_host::{Probe, ProbeAction, ReplicaState, UnknownApp};

use crate::support::{World, app, dir, shell};

#[tokio::test]
async fn replicas_are_restarted_one_after_another() {
    let mut spec = shell("web", "echo up; sleep 1000");
    spec.replicas = 3;
    spec.stop.drain = std::time::Duration::from_secs(5);
    let world = World::start(vec![spec]);
    let mut old = Vec::new();
    for index in 1..=3 {
        let ready = world.until("web", index, |status| status.state == ReplicaState::Ready);
        old.push(ready.await.pid);
    }
    // Never more than one out of traffic, in every state that is published from here on.
    let mut watch = world.handle.watch();
    watch.mark_unchanged();
    world.handle.restart(&app("web")).unwrap();
    loop {
        tokio::time::timeout(crate::support::LIMIT, watch.changed())
            .await
            .unwrap()
            .unwrap();
        let replicas = watch.borrow_and_update().apps[0].replicas.clone();
        let out = replicas
            .iter()
            .filter(|status| status.state != ReplicaState::Ready)
            .count();
        assert!(out <= 1, "{replicas:?}");
        if replicas.iter().all(|status| status.restarts == 1) && out == 0 {
            break;
        }
    }
    for index in 1..=3 {
        let status = world.replica("web", index);
        assert!(status.pid.is_some() && status.pid != old[index as usize - 1]);
    }
    let drained: Vec<_> = world.outside.drained().iter().map(ToString::to_string).collect();
    assert_eq!(drained, ["web-1", "web-2", "web-3"]);
    world.until_line("restarted").await;
    world.stop().await;
}

#[tokio::test]
async fn a_replica_that_does_not_come_back_stops_the_roll() {
    let dir = dir();
    let broken = dir.path().join("broken");
    let script = format!("if test -e {}; then exit 7; fi; sleep 1000", broken.display());
    let mut spec = shell("web", &script);
    spec.replicas = 2;
    spec.restart.max_restarts = Some(1);
    // Ready only after it could have found out that it is broken.
    spec.probes.readiness = Some(Probe {
        action: ProbeAction::Exec {
            command: vec!["true".to_owned()],
        },
        initial_delay: std::time::Duration::from_millis(500),
        period: std::time::Duration::from_millis(100),
        timeout: std::time::Duration::from_secs(10),
        success_threshold: 1,
        failure_threshold: 1,
    });
    let world = World::start(vec![spec]);
    for index in 1..=2 {
        world
            .until("web", index, |status| status.state == ReplicaState::Ready)
            .await;
    }
    std::fs::write(&broken, "").unwrap();
    world.handle.restart(&app("web")).unwrap();
    world
        .until_line("the restart stopped here: web-1 ended with exit code 7")
        .await;
    let untouched = world.replica("web", 2);
    assert_eq!((untouched.state, untouched.restarts), (ReplicaState::Ready, 0));
    world.stop().await;
}

#[tokio::test]
async fn a_failed_app_is_tried_again_by_a_restart() {
    let dir = dir();
    let mut spec = shell("web", "");
    spec.command = vec!["./late".to_owned()];
    spec.dir = dir.path().to_owned();
    let world = World::start(vec![spec]);
    world
        .until("web", 1, |status| matches!(status.state, ReplicaState::Failed(_)))
        .await;
    std::os::unix::fs::symlink("/bin/true", dir.path().join("late")).unwrap();
    world.handle.restart(&app("web")).unwrap();
    world.until_state("web", ReplicaState::Completed).await;
    world.stop().await;
}

#[tokio::test]
async fn an_unknown_app_is_refused() {
    let world = World::start(vec![]);
    let UnknownApp(name): UnknownApp = world.handle.restart(&app("nobody")).unwrap_err();
    assert_eq!(name, AppId::new("nobody").unwrap());
    world.stop().await;
}
