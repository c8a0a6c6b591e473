//! Who waits for whom, at the start and at the stop.

use std::time::Duration;

use mainstay_host::{Condition, Exit, ReplicaState};

use crate::support::{World, dir, needs, shell};

#[tokio::test]
async fn an_app_waits_by_name_until_its_need_is_met() {
    let dir = dir();
    let gate = dir.path().join("gate");
    let migrate = shell(
        "migrate",
        &format!("until test -e {}; do sleep 0.02; done", gate.display()),
    );
    let mut api = shell("api", "sleep 1000");
    api.needs = vec![needs("migrate", Condition::Completed)];
    let mut web = shell("web", "sleep 1000");
    web.needs = vec![
        needs("migrate", Condition::Started),
        needs("api", Condition::Healthy),
    ];
    let world = World::start(vec![web, api, migrate]);

    world
        .until_state(
            "api",
            ReplicaState::Waiting(vec!["migrate (completed)".to_owned()]),
        )
        .await;
    world
        .until_state("web", ReplicaState::Waiting(vec!["api (healthy)".to_owned()]))
        .await;
    world.until_line("waits for migrate (completed)").await;
    std::fs::write(&gate, "").unwrap();
    world.until_state("web", ReplicaState::Ready).await;
    assert_eq!(world.replica("migrate", 1).state, ReplicaState::Completed);
    world.stop().await;
}

#[tokio::test]
async fn a_need_that_can_never_be_met_fails_the_app_and_those_behind_it() {
    let mut migrate = shell("migrate", "exit 4");
    migrate.restart.max_restarts = Some(0);
    let mut api = shell("api", "sleep 1000");
    api.needs = vec![needs("migrate", Condition::Completed)];
    let mut web = shell("web", "sleep 1000");
    web.needs = vec![needs("api", Condition::Healthy)];
    let world = World::start(vec![migrate, api, web]);
    let status = world
        .until("web", 1, |status| matches!(status.state, ReplicaState::Failed(_)))
        .await;
    let reason = "needs api (healthy), which failed: needs migrate (completed), which failed: exit code 4";
    assert_eq!(status.state, ReplicaState::Failed(reason.to_owned()));
    world.stop().await;
}

#[tokio::test]
async fn everything_stops_in_reverse_order_of_needs() {
    // The database ends at once when asked to; the others take their time and would notice.
    let on_term = |end: &str| {
        format!(
            "trap '{end}echo $REPLICA ends; exit 0' TERM; echo $REPLICA runs; while true; do sleep 0.02; done"
        )
    };
    let slow = &on_term("sleep 0.2; ");
    let database = shell("database", &on_term(""));
    let mut api = shell("api", slow);
    api.needs = vec![needs("database", Condition::Started)];
    let mut web = shell("web", slow);
    web.needs = vec![needs("api", Condition::Started)];
    let world = World::start(vec![database, api, web]);
    for name in ["database", "api", "web"] {
        world.until_line(&format!("{name}-1 runs")).await;
    }
    world.stop().await;
    let log = world.log().await;
    let ends: Vec<_> = log.iter().filter(|line| line.ends_with(" ends")).collect();
    assert_eq!(
        ends,
        [
            "web-1 web-1 ends",
            "api-1 api-1 ends",
            "database-1 database-1 ends"
        ]
    );
    for name in ["database", "api", "web"] {
        assert_eq!(world.replica(name, 1).last_exit, Some(Exit::Code(0)), "{name}");
    }
}

#[tokio::test]
async fn what_waits_stops_at_once() {
    let mut web = shell("web", "sleep 1000");
    web.needs = vec![needs("database", Condition::Completed)];
    let mut database = shell("database", "sleep 1000");
    database.stop.grace = Duration::from_hours(1);
    let world = World::start(vec![web, database]);
    world.until_state("database", ReplicaState::Ready).await;
    world.stop().await;
    assert_eq!(world.replica("web", 1).state, ReplicaState::Stopped);
    assert_eq!(world.replica("web", 1).last_exit, None);
}
