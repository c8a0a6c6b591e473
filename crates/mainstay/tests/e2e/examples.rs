//! The examples, as a user starts them.

mod client_server;
mod microservices;
mod multitier;
mod shop;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::system::{Builder, run};
use crate::harness::{System, mainstay};
use crate::tools;

/// An example with everything in it as it is, but without the building: the workspace's tests come with its programs.
/// `None` where those are missing.
fn example(name: &str, programs: &[&str]) -> Option<Builder> {
    if !programs.iter().all(|program| tools::is_built(program)) {
        return None;
    }
    let target_dir = mainstay().parent()?.parent()?.to_owned();
    let example = System::at(&tools::examples().join(name))
        .env("CARGO", "true")
        .env("CARGO_TARGET_DIR", target_dir.to_str()?);
    Some(example)
}

/// `mainstay check` has nothing to say against it.
async fn check(name: &str) {
    let folder = tools::examples().join(name);
    let output = run(&["check", folder.to_str().expect("text")], &[]).await;
    assert_eq!(output.code, 0, "{output:?}");
}

/// Kills what runs of an app, as `kill -9` does; gives how many processes that were.
async fn kill_all(system: &System, app: &str) -> usize {
    let pids: Vec<Pid> = system.replicas(app).await.iter().filter_map(pid).collect();
    for pid in &pids {
        // It may have ended by itself in between.
        let _ = kill_process(*pid, Signal::KILL);
    }
    pids.len()
}

/// The process of a replica, while one runs.
fn pid(replica: &Value) -> Option<Pid> {
    Pid::from_raw(i32::try_from(replica["pid"].as_u64()?).ok()?)
}
