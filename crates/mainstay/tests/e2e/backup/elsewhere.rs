//! A backup is enough to go on, on the same machine or another one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use http::Method;
use mainstay_backup::test_server;
use serde_json::json;
use tokio::task::JoinHandle;

use super::{MANIFEST, Vault, mainstay, parsed, save, text, value};
use crate::harness::system::run;
use crate::harness::{Client, System, eventually};

/// Saves rising numbers under a key until it is told to stop, and tells the last one that was acknowledged.
async fn write(api: Client, key: String, acknowledged: Arc<AtomicU64>, stop: Arc<AtomicBool>) {
    let mut number = 0;
    while !stop.load(Ordering::Relaxed) {
        number += 1;
        let body = format!(r#"[{{"key":"{key}","value":{number}}}]"#);
        let saving = api.attempt(Method::POST, "/v1.0/state/statestore", body.into());
        match saving.await {
            Ok(answer) if answer.status == 204 => acknowledged.store(number, Ordering::Relaxed),
            Ok(answer) => panic!("{answer:?}"),
            Err(_) => break,
        }
    }
}

/// Clients that save rising numbers, each under a key of its own.
struct Writers {
    stop: Arc<AtomicBool>,
    counters: Vec<Arc<AtomicU64>>,
    tasks: Vec<JoinHandle<()>>,
}

impl Writers {
    /// Starts them, and waits until all of them write.
    async fn start(api: &Client) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let counters: Vec<Arc<AtomicU64>> = (0..8).map(|_| Arc::default()).collect();
        let tasks = counters.iter().enumerate().map(|(number, counter)| {
            let (api, counter, stop) = (api.clone(), Arc::clone(counter), Arc::clone(&stop));
            tokio::spawn(write(api, format!("key-{number}"), counter, stop))
        });
        let tasks = tasks.collect();
        let writers = Self {
            stop,
            counters,
            tasks,
        };
        eventually("all of them write", async || {
            writers.numbers().iter().all(|number| *number > 3).then_some(())
        })
        .await;
        writers
    }

    /// The last number of each that was acknowledged.
    fn numbers(&self) -> Vec<u64> {
        let numbers = self
            .counters
            .iter()
            .map(|counter| counter.load(Ordering::Relaxed));
        numbers.collect()
    }

    async fn end(self) -> Vec<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let numbers = self.counters;
        for task in self.tasks {
            task.await.expect("a writer");
        }
        numbers
            .iter()
            .map(|counter| counter.load(Ordering::Relaxed))
            .collect()
    }
}

#[tokio::test]
async fn a_backup_under_load_holds_all_that_was_acknowledged_before_it() {
    let vault = Vault::new().await;
    let system = System::start(MANIFEST).await;
    let set = system.feed(&["secret", "set", "token"], b"hunter2").await;
    assert_eq!(set.code, 0, "{set:?}");
    save(&system, "quiet", "still").await;
    let api = system.api("app").await;
    let etag = api
        .get("/v1.0/state/statestore/quiet")
        .await
        .header("etag")
        .to_owned();
    let locked = json!({"resourceId": "r", "lockOwner": "me", "expiryInSeconds": 600}).to_string();
    let lock = api.post("/v1.0-alpha1/lock/lockstore", locked).await;
    let fencing = lock.header("mainstay-fencing-token").to_owned();

    let writers = Writers::start(&api).await;
    let before = writers.numbers();
    let target = vault.path("shop.backup");
    let made = system
        .mainstay(&["backup", text(&target), "--key-file", vault.key(), "--json"])
        .await;
    let made = parsed(&made);
    assert_eq!(
        (&made["verified"], &made["files"]),
        (&json!(true), &json!(["secrets.key"]))
    );
    system.kill().await;
    let after = writers.end().await;

    // On another machine: nothing but the backup and its key.
    let other = System::with(MANIFEST);
    let data_dir = other.data_dir();
    let restore = [
        "restore",
        text(&target),
        "--key-file",
        vault.key(),
        "--to-dir",
        text(&data_dir),
    ];
    let restored = mainstay(&restore).await;
    assert_eq!(restored.code, 0, "{restored:?}");
    let other = other.start().await;
    for ((number, before), after) in before.iter().enumerate().zip(after) {
        let found: u64 = value(&other, &format!("key-{number}"))
            .await
            .parse()
            .expect("a number");
        assert!(
            (*before..=after + 1).contains(&found),
            "{found} is there, {before} was acknowledged before the backup, {after} at the end"
        );
    }
    let api = other.api("app").await;
    let secret = api.get("/v1.0/secrets/secretstore/token").await;
    assert_eq!(secret.json(), json!({"token": "hunter2"}));
    // ETags and fencing tokens stay good.
    let change = |etag: &str| {
        json!([{"key": "quiet", "value": "changed", "etag": etag,
            "metadata": {"mainstay.lock": "r", "mainstay.lockOwner": "me", "mainstay.fencingToken": fencing},
            "options": {"concurrency": "first-write"}}])
        .to_string()
    };
    assert_eq!(api.post("/v1.0/state/statestore", change("1")).await.status, 409);
    let changed = api.post("/v1.0/state/statestore", change(&etag)).await;
    assert_eq!(changed.status, 204, "{changed:?}");
}

#[tokio::test]
async fn data_are_replaced_only_when_that_is_said_and_not_while_the_system_runs() {
    let vault = Vault::new().await;
    let mut system = System::start(MANIFEST).await;
    save(&system, "k", "first").await;
    let target = vault.path("a.backup");
    system
        .succeeds(&["backup", text(&target), "--key-file", vault.key()])
        .await;
    save(&system, "k", "second").await;
    save(&system, "later", "1").await;
    let folder = system.folder().to_owned();
    let data_dir = system.data_dir();
    let restore = async |more: &[&str]| {
        let mut arguments = vec!["restore", text(&target), "--key-file", vault.key()];
        arguments.extend(["--dir", text(&folder), "--data-dir", text(&data_dir)]);
        arguments.extend(more);
        mainstay(&arguments).await
    };
    for more in [&[][..], &["--force"]] {
        let refused = restore(more).await;
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(refused.stderr.contains("already runs"), "{refused:?}");
    }
    assert!(system.interrupt().await.success());
    let refused = restore(&[]).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("--force"), "{refused:?}");
    system.start_again().await;
    assert_eq!(value(&system, "k").await, "second");
    assert!(system.interrupt().await.success());

    let restored = parsed(&restore(&["--force", "--json"]).await);
    let replaced = data_dir.join("store.replaced");
    assert_eq!(restored["replaced"], json!(text(&replaced)));
    assert!(replaced.exists());
    system.start_again().await;
    assert_eq!(value(&system, "k").await, "first");
    assert_eq!(value(&system, "later").await, "");
    save(&system, "k", "third").await;
}

#[tokio::test]
async fn a_system_that_does_not_run_is_backed_up_as_well() {
    let vault = Vault::new().await;
    let system = System::start(MANIFEST).await;
    let folder = system.folder().to_owned();
    let data_dir = system.data_dir();
    let located = ["--dir", text(&folder), "--data-dir", text(&data_dir), "--json"];
    let into = format!("{}/", text(vault.folder.path()));
    let back_up = ["backup", &into, "--unencrypted"];
    save(&system, "k", "1").await;
    let running = parsed(&mainstay(&[&back_up[..], &located].concat()).await);
    assert!(system.interrupt().await.success());
    // Names tell seconds.
    eventually("another name", async || {
        let stopped = mainstay(&[&back_up[..], &located].concat()).await;
        (stopped.code == 0).then(|| parsed(&stopped)).map(|stopped| {
            assert_eq!(stopped["keys"], running["keys"]);
            assert_eq!(
                stopped["files"],
                json!([]),
                "the key of secrets is no secret in it"
            );
        })
    })
    .await;
    let listed = mainstay(&["backup", "list", &into, "--json"]).await;
    let lines: Vec<&str> = listed.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{listed:?}");
    let verified = mainstay(&["backup", "verify", &into]).await;
    assert_eq!(verified.code, 0, "{verified:?}");
    assert_eq!(verified.stdout.matches(": whole:").count(), 2, "{verified:?}");

    let never = tempfile::tempdir().expect("a folder");
    let nowhere = ["--dir", text(&folder), "--data-dir", text(never.path())];
    let refused = mainstay(&[&back_up[..], &nowhere].concat()).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("has never run"), "{refused:?}");
}

#[tokio::test]
async fn a_bucket_is_as_good_as_a_folder() {
    if !test_server::available() {
        return;
    }
    let vault = Vault::new().await;
    let server = test_server::shared().await;
    let environment = server.environment();
    let mut builder = System::with(MANIFEST);
    for (name, value) in &environment {
        builder = builder.env(name, value);
    }
    let system = builder.start().await;
    // More than one part of an upload.
    let large = "x".repeat(200_000);
    for number in 0..60 {
        save(&system, &format!("large-{number}"), &format!("{number}{large}")).await;
    }
    save(&system, "k", "1").await;
    let place = format!("s3://{}/end-to-end/", test_server::BUCKET);
    let made = system
        .mainstay(&["backup", &place, "--key-file", vault.key(), "--json"])
        .await;
    let made = parsed(&made);
    assert!(
        made["backup"]
            .as_str()
            .is_some_and(|name| name.starts_with(&place)),
        "{made}"
    );
    system.kill().await;
    let listed = run(&["backup", "list", &place], &environment).await;
    assert!(listed.stdout.contains(".backup"), "{listed:?}");
    let verified = run(
        &["backup", "verify", &place, "--key-file", vault.key()],
        &environment,
    )
    .await;
    assert_eq!(verified.code, 0, "{verified:?}");

    let other = System::with(MANIFEST);
    let data_dir = other.data_dir();
    let restore = [
        "restore",
        &place,
        "--key-file",
        vault.key(),
        "--to-dir",
        text(&data_dir),
    ];
    let nobody = mainstay(&restore).await;
    assert_eq!(nobody.code, 2, "{nobody:?}");
    assert!(nobody.stderr.contains("AWS_ACCESS_KEY_ID"), "{nobody:?}");
    let restored = run(&restore, &environment).await;
    assert_eq!(restored.code, 0, "{restored:?}");
    let other = other.start().await;
    assert_eq!(value(&other, "k").await, "1");
    assert_eq!(value(&other, "large-7").await.len(), 200_001);
}
