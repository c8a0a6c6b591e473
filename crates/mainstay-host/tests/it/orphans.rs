//! Nothing that an app started outlives its stop, its crash, or Mainstay.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use mainstay_host::{AppSpec, Exit, ReplicaState};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use crate::support::{World, dir, pid_in, shell, until_gone};

/// Starts a grandchild in its process group and one in a session of its own, both deaf to SIGTERM, and writes down the
/// pids of all.
const FAMILY: &str = "
    sh -c 'trap \"\" TERM; echo $$ > child.tmp; mv child.tmp child; while true; do sleep 1000; done' &
    setsid sh -c 'trap \"\" TERM; echo $$ > far.tmp; mv far.tmp far; while true; do sleep 1000; done' &
    echo $$ > main.tmp; mv main.tmp main
    wait
";

/// An app that is such a family and soon loses patience when stopped.
fn parents(dir: &Path) -> AppSpec {
    let mut spec = shell("web", FAMILY);
    spec.dir = dir.into();
    spec.stop.grace = Duration::from_millis(200);
    spec
}

struct Family {
    main: u32,
    others: [u32; 2],
}

async fn family(dir: &Path) -> Family {
    let main = pid_in(&dir.join("main")).await;
    let others = [pid_in(&dir.join("child")).await, pid_in(&dir.join("far")).await];
    Family { main, others }
}

fn pid(number: u32) -> Pid {
    Pid::from_raw(number.try_into().unwrap()).unwrap()
}

fn kill(process: u32) {
    kill_process(pid(process), Signal::KILL).unwrap();
}

#[tokio::test]
async fn a_stop_kills_even_what_ignores_it_and_what_moved_away() {
    let dir = dir();
    let world = World::start(vec![parents(dir.path())]);
    let family = family(dir.path()).await;
    world.stop().await;
    assert_eq!(world.replica("web", 1).last_exit, Some(Exit::Signal(15)));
    for pid in family.others {
        until_gone(pid).await;
    }
}

#[tokio::test]
async fn what_a_crashed_app_left_is_gone_before_it_starts_again() {
    let dir = dir();
    let world = World::start(vec![parents(dir.path())]);
    let family = family(dir.path()).await;
    for file in ["main", "child", "far"] {
        std::fs::remove_file(dir.path().join(file)).unwrap();
    }
    kill(family.main);
    world.until_line("processes behind, which were ended").await;
    // Written by the second run.
    pid_in(&dir.path().join("main")).await;
    for pid in family.others {
        assert!(!Path::new(&format!("/proc/{pid}")).exists(), "{pid} lives");
    }
    world.stop().await;
}

#[tokio::test]
async fn a_killed_guard_takes_its_app_along() {
    let dir = dir();
    let world = World::start(vec![parents(dir.path())]);
    let family = family(dir.path()).await;
    kill(parent_of(family.main));
    until_gone(family.main).await;
    until_gone(family.others[0]).await;
    world.until_line("its guard was killed").await;
    world.until("web", 1, |status| status.restarts == 1).await;
    // Its session was its own, and the one who would have found it is dead: the price of killing a guard by hand.
    kill_process_group(pid(family.others[1]), Signal::KILL).unwrap();
    world.stop().await;
}

fn parent_of(pid: u32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    parent.unwrap().trim().parse().unwrap()
}

#[tokio::test]
async fn a_killed_host_leaves_no_orphan() {
    let dir = dir();
    let mut host = host_in_a_process(dir.path());
    let family = family(dir.path()).await;
    kill(host.id());
    host.wait().unwrap();
    for pid in [family.main, family.others[0], family.others[1]] {
        until_gone(pid).await;
    }
}

#[tokio::test]
async fn not_even_host_and_guard_together_leave_the_app() {
    let dir = dir();
    let mut host = host_in_a_process(dir.path());
    let family = family(dir.path()).await;
    // Stopped, it cannot do anything about the death of the guard.
    kill_process(pid(host.id()), Signal::STOP).unwrap();
    kill(parent_of(family.main));
    until_gone(family.main).await;
    kill(host.id());
    host.wait().unwrap();
    // Its children are out of reach of any parent's death; only a guard can find those.
    for group in [family.main, family.others[1]] {
        kill_process_group(pid(group), Signal::KILL).unwrap();
    }
}

#[expect(clippy::disallowed_methods, reason = "the test needs a host that it can kill")]
fn host_in_a_process(dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "orphans::host_to_be_killed"])
        .env("MAINSTAY_TEST_DIR", dir)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Not a test of its own: the process that `a_killed_host_leaves_no_orphan` starts and kills.
#[tokio::test]
async fn host_to_be_killed() {
    let Some(dir) = std::env::var_os("MAINSTAY_TEST_DIR") else {
        return;
    };
    let world = World::start(vec![parents(Path::new(&dir))]);
    world.until_state("web", ReplicaState::Ready).await;
    std::future::pending::<()>().await;
}

#[tokio::test]
async fn the_last_handle_stops_everything() {
    let dir = dir();
    let mut spec = shell("web", "echo $$ > main.tmp; mv main.tmp main; sleep 1000");
    spec.dir = dir.path().to_owned();
    let world = World::start(vec![spec]);
    let main = pid_in(&dir.path().join("main")).await;
    drop(world);
    until_gone(main).await;
}
