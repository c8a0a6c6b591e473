//! Processes: their order, their deaths, their ends.

use std::collections::BTreeSet;

use rustix::process::Signal;

use crate::harness::load::Load;
use crate::harness::{System, eventually};

/// An app with two replicas behind the ingress.
const PAIR: &str = "
apps:
  web:
    command: testapp
    replicas: 2
    ingress: {}
    sla: { latency: 2s, availability: 99.9% }
";

/// Whether a process still does anything; one that waits for its parent to look at it does not.
fn is_alive(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat.rsplit(") ").next().and_then(|rest| rest.chars().next());
    state.is_some_and(|state| !"ZX".contains(state))
}

async fn is_gone(pid: u32) {
    eventually(&format!("process {pid} is gone"), async || {
        (!is_alive(pid)).then_some(())
    })
    .await;
}

fn pid(replica: &serde_json::Value) -> u32 {
    u32::try_from(replica["pid"].as_u64().expect("a pid")).expect("a pid")
}

async fn pids(system: &System, app: &str) -> BTreeSet<u32> {
    system.replicas(app).await.iter().map(pid).collect()
}

#[tokio::test]
async fn a_command_that_does_not_exist_is_told_and_harms_nobody_else() {
    let system = System::with(
        "
apps:
  fine: { command: testapp, ingress: {} }
  typo: { command: no-such-command-anywhere }
",
    )
    .launch();
    system.process().line_with("no-such-command-anywhere").await;
    system.process().line_with("is up, but typo-1 failed").await;
    let output = system.mainstay(&["wait", "typo"]).await;
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("typo-1 has failed"), "{output:?}");
    assert_eq!(system.ingress().await.get("/").await.status, 200);
    assert_eq!(system.interrupt().await.code(), Some(1), "an app failed for good");
}

#[tokio::test]
async fn apps_start_when_what_they_need_is_there_and_say_what_they_wait_for() {
    let system = System::start(
        "
apps:
  web:
    command: [testapp, --say, web begins]
    ingress: {}
    needs: { migrate: completed, database: healthy }
  database:
    command: [testapp, --bind-after, 300ms]
    probes: { readiness: { tcp: {} } }
  migrate:
    command: [testapp, --say, migrated, --exit-after, 300ms]
    needs: { database: healthy }
    restart: never
",
    )
    .await;
    let log = system.process().log();
    let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("no `{text}` in {log}"));
    assert!(at("waits for migrate (completed), database (healthy)") < at("web begins"));
    assert!(at("migrated") < at("web begins"));
    assert!(log.contains("waits for database (healthy)"), "{log}");
}

#[tokio::test]
async fn an_app_that_binds_late_gets_calls_once_it_listens() {
    let system = System::with(
        "
apps:
  front: { command: testapp, ingress: {}, calls: [late] }
  late: { command: [testapp, --bind-after, 1s] }
",
    )
    .launch();
    system.succeeds(&["wait", "front"]).await;
    // It may come up while the call is tried again, and then answers.
    let early = system.ingress().await.get("/call?to=late&path=/").await;
    let refused = early.header("mainstay-reason") == "no_replica";
    assert!(refused || early.status == 200, "{early:?}");
    assert_eq!(system.ingress().await.get("/").await.status, 200);
    system.ready().await;
    assert_eq!(
        system.ingress().await.get("/call?to=late&path=/").await.json()["app"],
        "late"
    );
}

#[tokio::test]
async fn an_app_that_never_binds_is_named_and_harms_nobody_else() {
    let system = System::with(
        "
apps:
  front: { command: testapp, ingress: {}, calls: [never] }
  never: { command: [testapp, --never-bind] }
",
    )
    .launch();
    system.succeeds(&["wait", "front"]).await;
    let output = system.mainstay(&["wait", "--timeout", "1s"]).await;
    assert_eq!(output.code, 1, "{output:?}");
    assert!(
        output.stderr.contains("still waiting for never-1 (starting)"),
        "{output:?}"
    );
    let refused = system.ingress().await.get("/call?to=never&path=/").await;
    assert_eq!(refused.header("mainstay-reason"), "no_replica", "{refused:?}");
    assert_eq!(system.ingress().await.get("/").await.status, 200);
}

#[tokio::test]
async fn a_crash_loop_shows_the_last_output() {
    let system = System::with(
        "
apps:
  fine: { command: testapp, ingress: {} }
  bad:
    command: [testapp, --say, the reason, --exit-after, 1ms, --exit-code, '7']
    restart: { backoff_min: 10ms, backoff_max: 50ms }
",
    )
    .launch();
    let line = system.process().line_with("crash loop").await;
    assert!(line.contains("exit code 7"), "{line}");
    system.process().line_with("the last lines of its output").await;
    let bad = system
        .replicas_become("bad", "a crash loop", |replicas| {
            replicas[0]["state"] == "crash_loop"
        })
        .await;
    assert!(bad[0]["restarts"].as_u64() >= Some(3), "{bad:?}");
    assert_eq!(bad[0]["last_exit"]["code"], 7);
    assert_eq!(system.ingress().await.get("/").await.status, 200);
}

#[tokio::test]
async fn a_killed_replica_fails_no_idempotent_request_and_comes_back() {
    let system = System::start(PAIR).await;
    let before = pids(&system, "web").await;
    let load = Load::start(&system.ingress().await, "/", 8);
    load.more(200).await;
    for pid in &before {
        kill(*pid);
        system
            .replicas_become("web", "both are ready again", |replicas| {
                replicas
                    .iter()
                    .all(|replica| replica["state"] == "ready" && replica["pid"] != *pid)
            })
            .await;
        load.more(200).await;
    }
    load.end_without_failure().await;
    assert!(pids(&system, "web").await.is_disjoint(&before));
}

#[tokio::test]
async fn a_rolling_restart_fails_no_request() {
    let system = System::start(PAIR).await;
    let before = pids(&system, "web").await;
    let load = Load::start(&system.ingress().await, "/?delay=5ms", 8);
    load.more(100).await;
    system.succeeds(&["restart", "web"]).await;
    load.more(100).await;
    load.end_without_failure().await;
    assert!(
        pids(&system, "web").await.is_disjoint(&before),
        "every process is new"
    );
}

#[tokio::test]
async fn ctrl_c_lets_running_requests_end() {
    let system = System::start(
        "
apps:
  web: { command: [testapp, --stop-after, 100ms], ingress: {}, sla: { latency: 10s } }
",
    )
    .await;
    let client = system.ingress().await;
    let running = tokio::spawn(async move { client.get("/?delay=700ms").await });
    eventually("the request is inside", async || {
        let report = system.status().await;
        (report["status"]["targets"][0]["in_flight"] == 1).then_some(())
    })
    .await;
    let web = pids(&system, "web").await;
    assert_eq!(system.interrupt().await.code(), Some(0));
    assert_eq!(running.await.expect("no panic").status, 200);
    let log = system.process().log();
    assert!(log.contains("stopping, waiting for web-1"), "{log}");
    assert!(log.contains("got SIGTERM"), "{log}");
    assert!(log.contains("has stopped"), "{log}");
    for pid in web {
        is_gone(pid).await;
    }
}

#[tokio::test]
async fn a_second_ctrl_c_kills() {
    let system = System::start(
        "
apps:
  stubborn: { command: [testapp, --ignore-term, --child], ingress: {}, stop: { grace: 1h } }
",
    )
    .await;
    let child = system.process().line_with("child ").await;
    let child: u32 = child.rsplit(' ').next().expect("a pid").parse().expect("a pid");
    let replicas = pids(&system, "stubborn").await;
    system.process().signal(Signal::INT);
    system.process().line_with("Ctrl-C again kills them").await;
    system.process().line_with("got SIGTERM").await;
    system.process().signal(Signal::INT);
    let status = system.process().wait().await;
    assert!(status.code().is_some(), "it ended by itself: {status}");
    system.process().line_with("killing what is left").await;
    for pid in replicas.into_iter().chain([child]) {
        is_gone(pid).await;
    }
}

#[tokio::test]
async fn sigterm_stops_as_ctrl_c_does() {
    let system = System::start(PAIR).await;
    system.process().signal(Signal::TERM);
    assert_eq!(system.process().wait().await.code(), Some(0));
    assert!(system.process().log().contains("got SIGTERM"));
}

#[tokio::test]
async fn not_even_kill_9_leaves_an_orphan() {
    let system = System::start(
        "
apps:
  web: { command: [testapp, --ignore-term, --child], replicas: 2, ingress: {} }
",
    )
    .await;
    let log = system.process().log();
    let children = log
        .lines()
        .filter_map(|line| line.split("child ").nth(1)?.parse().ok());
    let mut all: BTreeSet<u32> = children.collect();
    all.extend(pids(&system, "web").await);
    assert_eq!(all.len(), 4, "two replicas, a child of each: {log}");
    system.process().signal(Signal::KILL);
    system.process().wait().await;
    for pid in all {
        is_gone(pid).await;
    }
    let output = system.mainstay(&["status"]).await;
    assert!(
        output.stderr.contains("no system runs"),
        "what it left behind is not taken for it: {output:?}"
    );
}

#[tokio::test]
async fn stop_waits_until_everything_has_stopped() {
    let system = System::start(PAIR).await;
    let web = pids(&system, "web").await;
    let output = system.succeeds(&["stop"]).await;
    assert!(output.ends_with("has stopped\n"), "{output}");
    assert_eq!(system.process().wait().await.code(), Some(0));
    assert!(!web.into_iter().any(is_alive));
}

#[tokio::test]
async fn stop_says_who_it_waited_for_in_vain() {
    let system = System::start(
        "
apps:
  stubborn: { command: [testapp, --ignore-term], ingress: {}, stop: { grace: 1h } }
",
    )
    .await;
    let output = system.mainstay(&["stop", "--timeout", "500ms"]).await;
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("still there: stubborn-1"), "{output:?}");
}

#[tokio::test]
async fn logs_are_filtered_counted_and_followed() {
    let system = System::start(
        "
apps:
  one: { command: [testapp, --say, first of one, --say, second of one], ingress: {} }
  two: { command: [testapp, --say, only of two], calls: [one] }
",
    )
    .await;
    let one = system.succeeds(&["logs", "one"]).await;
    assert!(
        one.contains("first of one") && !one.contains("only of two"),
        "{one}"
    );
    let last = system.succeeds(&["logs", "--tail", "1", "--json", "two"]).await;
    assert_eq!(last.lines().count(), 1, "{last}");
    let line: serde_json::Value = serde_json::from_str(&last).expect("JSON");
    assert_eq!(line["replica"], "two-1");
    let output = system.mainstay(&["logs", "oen"]).await;
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.stderr.contains("did you mean `one`?"), "{output:?}");
    let follower = system.spawn(&["logs", "-f", "one"]);
    follower.line_with("first of one").await;
    system.interrupt().await;
    follower.line_with("got SIGTERM").await;
    assert_eq!(follower.wait().await.code(), Some(0), "{}", follower.log());
}

#[tokio::test]
async fn wait_knows_completed_and_stopped() {
    let system = System::with(
        "
apps:
  job: { command: [testapp, --exit-after, 500ms], restart: never }
  web: { command: testapp, ingress: {} }
",
    )
    .launch();
    system.addresses().await;
    system.succeeds(&["wait", "job", "--for", "completed"]).await;
    let output = system
        .mainstay(&["wait", "web", "--for", "completed", "--timeout", "300ms"])
        .await;
    assert_eq!(output.code, 1);
    assert!(output.stderr.contains("web-1 (ready)"), "{output:?}");
    let (stopped, _) = tokio::join!(system.mainstay(&["wait", "--for", "stopped"]), system.interrupt());
    assert_eq!(stopped.code, 0, "{stopped:?}");
}

#[tokio::test]
async fn shutdown_of_a_sidecar_stops_its_app_alone() {
    let system = System::start(
        "
apps:
  worker: { command: testapp, calls: [web] }
  web: { command: testapp, ingress: {}, calls: [worker] }
",
    )
    .await;
    let answer = system.api("worker").await.post("/v1.0/shutdown", "").await;
    assert_eq!(answer.status, 204, "{answer:?}");
    system
        .replicas_become("worker", "stopped", |replicas| replicas[0]["state"] == "stopped")
        .await;
    assert_eq!(system.ingress().await.get("/").await.status, 200);
    system.succeeds(&["restart", "worker"]).await;
    assert_eq!(
        system.ingress().await.get("/call?to=worker&path=/").await.json()["app"],
        "worker"
    );
}

fn kill(pid: u32) {
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid");
    rustix::process::kill_process(pid, Signal::KILL).expect("it runs");
}
