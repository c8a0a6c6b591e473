//! From a database to files and back, and restores into a database that are interrupted.

use mainstay_postgres::test_server::{TestServer, available};
use rustix::process::Signal;

use super::{MANIFEST, Vault, parsed, save, text, value};
use crate::harness::process::Process;
use crate::harness::system::{command, run};
use crate::harness::{System, eventually};

/// The `ETag` of a key of `app`.
async fn etag(system: &System) -> String {
    let answer = system.api("app").await.get("/v1.0/state/statestore/k").await;
    answer.header("etag").to_owned()
}

#[tokio::test]
async fn a_backup_moves_between_a_database_and_files() {
    if !available() {
        return;
    }
    let vault = Vault::new().await;
    let server = TestServer::start().await;
    let in_database = [("STORE".to_owned(), server.url())];
    let system = System::with(MANIFEST).env("STORE", &server.url()).start().await;
    save(&system, "k", "from the database").await;
    let first = vault.path("first.backup");
    let made = system
        .mainstay(&["backup", text(&first), "--key-file", vault.key(), "--json"])
        .await;
    assert_eq!(parsed(&made)["verified"], true);
    let before = etag(&system).await;
    assert!(system.interrupt().await.success());

    let files = System::with(MANIFEST);
    let data_dir = files.data_dir();
    let restored = run(
        &[
            "restore",
            text(&first),
            "--key-file",
            vault.key(),
            "--to-dir",
            text(&data_dir),
        ],
        &[],
    )
    .await;
    assert_eq!(restored.code, 0, "{restored:?}");
    let files = files.start().await;
    assert_eq!(value(&files, "k").await, "from the database");
    assert_eq!(etag(&files).await, before);
    save(&files, "k", "from files").await;
    let second = vault.path("second.backup");
    let made = files
        .mainstay(&["backup", text(&second), "--key-file", vault.key(), "--json"])
        .await;
    assert_eq!(parsed(&made)["verified"], true);
    assert!(files.interrupt().await.success());

    let folder = system.folder().to_owned();
    let data_dir = system.data_dir();
    let restore = [
        "restore",
        text(&second),
        "--key-file",
        vault.key(),
        "--dir",
        text(&folder),
        "--data-dir",
        text(&data_dir),
    ];
    let refused = run(&restore, &in_database).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("holds data"), "{refused:?}");
    let restored = run(&[&restore[..], &["--force"]].concat(), &in_database).await;
    assert_eq!(restored.code, 0, "{restored:?}");
    let mut system = system;
    system.start_again().await;
    assert_eq!(value(&system, "k").await, "from files");
    save(&system, "k", "goes on").await;
}

#[tokio::test]
async fn an_interrupted_restore_into_a_database_is_not_run_on_and_can_be_begun_again() {
    if !available() {
        return;
    }
    let vault = Vault::new().await;
    let server = TestServer::start().await;
    let in_database = [("STORE".to_owned(), server.url())];
    let system = System::with(MANIFEST).env("STORE", &server.url()).start().await;
    let filler = "x".repeat(100_000);
    for number in 0..150 {
        save(&system, &format!("key-{number}"), &filler).await;
    }
    save(&system, "k", "1").await;
    let backup = vault.path("a.backup");
    system
        .succeeds(&["backup", text(&backup), "--key-file", vault.key()])
        .await;
    save(&system, "k", "2").await;
    assert!(system.interrupt().await.success());
    let folder = system.folder().to_owned();
    let data_dir = system.data_dir();
    let located = ["--dir", text(&folder), "--data-dir", text(&data_dir)];
    let restore = [
        &["restore", text(&backup), "--key-file", vault.key(), "--force"][..],
        &located,
    ]
    .concat();

    let interrupted = Process::start(&mut command(&restore, &in_database));
    let note = data_dir.join("restore.unfinished");
    eventually("it touches the store", async || {
        (note.exists() || interrupted.has_ended()).then_some(())
    })
    .await;
    interrupted.signal(Signal::KILL);
    let ended = interrupted.wait().await;
    assert!(!ended.success(), "it was too fast to be interrupted");

    let run_it = [
        "run",
        text(&folder),
        "--data-dir",
        text(&data_dir),
        "--control-addr",
        "127.0.0.1:0",
    ];
    let refused = run(&run_it, &in_database).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("was not finished"), "{refused:?}");
    let restored = run(&restore, &in_database).await;
    assert_eq!(restored.code, 0, "{restored:?}");
    let mut system = system;
    system.start_again().await;
    assert_eq!(value(&system, "k").await, "1");
    assert_eq!(value(&system, "key-149").await, filler);
}
