//! Start, end, restart, stop.

use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::time::Duration;

use mainstay_host::{Exit, ReplicaState, Restart};

use crate::support::{World, app, dir, shell, until};

#[tokio::test]
async fn an_app_runs_says_something_and_is_stopped() {
    let world = World::start(vec![shell(
        "web",
        "echo hello from $REPLICA; echo oh >&2; sleep 1000",
    )]);
    world.until_line("hello from web-1").await;
    world.until_line("oh").await;
    let status = world.until_state("web", ReplicaState::Ready).await;
    assert!(status.pid.is_some() && status.was_ready);
    world.stop().await;
    let status = world.replica("web", 1);
    assert_eq!((status.state, status.pid), (ReplicaState::Stopped, None));
    assert_eq!(status.last_exit, Some(Exit::Signal(15)));
    let log = world.log().await;
    assert!(log.contains(&"web-1 oh".to_owned()), "{log:?}");
    assert_eq!(
        log.last().map(String::as_str),
        Some("* web-1 stopped: killed by SIGTERM")
    );
}

#[tokio::test]
async fn a_job_completes_once() {
    let world = World::start(vec![shell("job", "printf 'no line break'")]);
    let status = world.until_state("job", ReplicaState::Completed).await;
    assert_eq!((status.restarts, status.last_exit), (0, Some(Exit::Code(0))));
    assert!(world.log().await.contains(&"job-1 no line break".to_owned()));
    world.stop().await;
    assert_eq!(world.replica("job", 1).state, ReplicaState::Completed);
}

#[tokio::test]
async fn a_crash_loop_is_visible_and_shows_the_last_output() {
    let world = World::start(vec![shell(
        "bad",
        "for i in 1 2 3; do echo line $i; done; echo why >&2; exit 3",
    )]);
    let status = world
        .until("bad", 1, |status| {
            matches!(status.state, ReplicaState::CrashLoop(_))
        })
        .await;
    assert_eq!((status.restarts, status.last_exit), (4, Some(Exit::Code(3))));
    world
        .until_line("crash loop, 5 quick ends in a row: exit code 3 after")
        .await;
    world.until_line("  why").await;
    world.stop().await;
}

#[tokio::test]
async fn it_gives_up_after_so_many_restarts() {
    let mut spec = shell("bad", "kill -9 $$");
    spec.restart.max_restarts = Some(2);
    let world = World::start(vec![spec]);
    let reason = "killed by SIGKILL; gave up after 2 restarts in a row".to_owned();
    let status = world.until_state("bad", ReplicaState::Failed(reason)).await;
    assert_eq!((status.restarts, status.last_exit), (2, Some(Exit::Signal(9))));
    world.stop().await;
}

#[tokio::test]
async fn a_missing_program_fails_once_and_is_named() {
    let mut spec = shell("gone", "");
    spec.command = vec!["./no-such-program".to_owned()];
    let dir = spec.dir.display().to_string();
    let world = World::start(vec![spec]);
    let reason = format!("there is no program `./no-such-program` in the directory `{dir}`");
    let status = world
        .until_state("gone", ReplicaState::Failed(reason.clone()))
        .await;
    assert_eq!(status.restarts, 0);
    world.until_line(&reason).await;
    world.stop().await;
}

#[tokio::test]
async fn a_script_whose_interpreter_is_missing_is_explained() {
    let dir = dir();
    let script = dir.path().join("script");
    let mut file = std::fs::OpenOptions::new();
    let mut file = file.create(true).write(true).mode(0o755).open(&script).unwrap();
    file.write_all(b"#!/no/such/interpreter\n").unwrap();
    drop(file);
    let mut spec = shell("odd", "");
    spec.command = vec!["./script".to_owned()];
    spec.dir = dir.path().to_owned();
    let world = World::start(vec![spec]);
    world
        .until_line("failed: `./script` cannot be run: its interpreter does not exist")
        .await;
    assert_eq!(world.replica("odd", 1).restarts, 0);
    world.stop().await;
}

#[tokio::test]
async fn a_missing_directory_is_named() {
    let mut spec = shell("lost", "true");
    spec.dir = "/no/such/directory".into();
    let world = World::start(vec![spec]);
    let reason = "its working directory `/no/such/directory` does not exist".to_owned();
    world.until_state("lost", ReplicaState::Failed(reason)).await;
    world.stop().await;
}

#[tokio::test]
async fn variables_of_the_replica_win_over_those_of_the_app() {
    let mut spec = shell("env", "echo $A $B $REPLICA; test -n \"$PATH\"");
    spec.env = [("A", "1"), ("B", "2"), ("A", "3"), ("REPLICA", "none")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec();
    let world = World::start(vec![spec]);
    world.until_state("env", ReplicaState::Completed).await;
    assert!(world.log().await.contains(&"env-1 3 2 env-1".to_owned()));
    world.stop().await;
}

#[tokio::test]
async fn second_stop_kills() {
    let mut spec = shell(
        "stubborn",
        "trap '' TERM; echo armed; while true; do sleep 1000; done",
    );
    spec.stop.grace = Duration::from_hours(1);
    spec.restart.restart = Restart::Always;
    let world = World::start(vec![spec]);
    world.until_line("armed").await;
    world.handle.stop();
    world.until_state("stubborn", ReplicaState::Stopping).await;
    world.handle.stop();
    world.stopped().await;
    assert_eq!(world.replica("stubborn", 1).last_exit, Some(Exit::Signal(9)));
}

#[tokio::test]
async fn one_app_is_stopped_and_started_again_while_the_others_run() {
    let world = World::start(vec![shell("web", "sleep 1000"), shell("worker", "sleep 1000")]);
    let web = world.until_state("web", ReplicaState::Ready).await;
    let worker = world.until_state("worker", ReplicaState::Ready).await;
    world.handle.stop_app(&app("worker")).unwrap();
    let stopped = world.until_state("worker", ReplicaState::Stopped).await;
    assert_eq!(stopped.restarts, 0);
    world.handle.restart(&app("worker")).unwrap();
    let again = world.until_state("worker", ReplicaState::Ready).await;
    assert_ne!(again.pid, worker.pid);
    assert_eq!(world.replica("web", 1).pid, web.pid);
    assert!(world.handle.stop_app(&app("nobody")).is_err());
    world.stop().await;
}

#[tokio::test]
async fn even_a_stopped_process_is_asked_to_end() {
    let mut spec = shell("frozen", "kill -STOP $$; sleep 1000");
    spec.stop.grace = Duration::from_hours(1);
    let world = World::start(vec![spec]);
    let pid = world.until("frozen", 1, |status| status.pid.is_some()).await.pid;
    let stat = format!("/proc/{}/stat", pid.unwrap());
    until(|| std::fs::read_to_string(&stat).unwrap().contains(") T ")).await;
    world.stop().await;
    assert_eq!(world.replica("frozen", 1).last_exit, Some(Exit::Signal(15)));
}
