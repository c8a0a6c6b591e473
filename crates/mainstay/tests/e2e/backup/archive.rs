//! Any moment since a backup comes back out of the archive.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use mainstay_backup::test_server;
use mainstay_base::rfc3339_millis;

use super::{Vault, mainstay, save, text, value};
use crate::harness::system::{Output, run};
use crate::harness::{System, eventually};

fn manifest(archive: &str) -> String {
    format!("apps: {{ app: {{ command: [testapp], ingress: {{}} }} }}\narchive: {archive}\n")
}

#[expect(clippy::disallowed_methods, reason = "a user looks at a clock as well")]
fn now() -> String {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("it is after 1970");
    rfc3339_millis(u64::try_from(since.as_millis()).expect("a number"))
}

/// A moment that is later than all that was answered and earlier than all that is asked later.
async fn moment() -> String {
    tokio::time::sleep(Duration::from_millis(3)).await;
    let moment = now();
    tokio::time::sleep(Duration::from_millis(3)).await;
    moment
}

/// Waits until what was done up to `moment` is archived.
async fn archived(place: &str, moment: &str, environment: &[(String, String)]) {
    eventually("it is archived", async || {
        let listed = run(&["backup", "list", place, "--json"], environment).await;
        let last = listed.stdout.lines().last()?;
        let last: serde_json::Value = serde_json::from_str(last).ok()?;
        let until = last["archive_until"].as_str()?;
        // Of the same form, so that they compare as text.
        (until >= moment).then_some(())
    })
    .await;
}

/// A system of its own into which a backup is restored.
async fn elsewhere(arguments: &[&str], environment: &[(String, String)]) -> Result<System, Output> {
    let other = System::with(&manifest("{ to: ./archive, unencrypted: true }"));
    let data_dir = other.data_dir();
    let restored = run(&[arguments, &["--to-dir", text(&data_dir)]].concat(), environment).await;
    if restored.code == 0 {
        Ok(other.start().await)
    } else {
        Err(restored)
    }
}

/// The declaration of an archive, and where it is.
fn declared(vault: &Vault) -> (String, String) {
    let place = vault.path("archive");
    let (place, key) = (text(&place), vault.key());
    let archive = format!("{{ to: {place}, every: 20ms, keep: 7d, key_file: {key} }}");
    (manifest(&archive), place.to_owned())
}

#[tokio::test]
async fn a_moment_between_two_changes_comes_back() {
    let vault = Vault::new().await;
    let (manifest, place) = declared(&vault);
    let mut system = System::start(&manifest).await;
    let backup = vault.path("a.backup");
    save(&system, "k", "before the backup").await;
    let back_up = ["backup", text(&backup), "--key-file", vault.key()];
    system.succeeds(&back_up).await;
    save(&system, "k", "first").await;
    save(&system, "deleted", "first").await;
    let between = moment().await;
    save(&system, "k", "second").await;
    let api = system.api("app").await;
    let path = "/v1.0/state/statestore/deleted";
    let deleted = api.send(http::Method::DELETE, path, "".into()).await;
    assert_eq!(deleted.status, 204, "{deleted:?}");
    let last = moment().await;
    // The archive goes on over the death of Mainstay.
    system.kill_and_start_again().await;
    save(&system, "k", "third").await;
    archived(&place, &last, &[]).await;
    let metrics = system.metrics().await;
    assert!(metrics.sum("mainstay_archive_archived_until_seconds", &[]) > 0);
    assert!(metrics.names.contains("mainstay_archive_lag_seconds"));
    assert!(
        system.interrupt().await.success(),
        "the last changes are archived then"
    );

    let restore = [
        "restore",
        text(&backup),
        "--key-file",
        vault.key(),
        "--archive",
        &place,
    ];
    for (until, expected, deleted) in [
        (Some(between), "first", "first"),
        (Some(last), "second", ""),
        (None, "third", ""),
    ] {
        let until = until
            .iter()
            .flat_map(|until| ["--until", until])
            .collect::<Vec<_>>();
        let other = elsewhere(&[&restore[..], &until].concat(), &[]).await;
        let other = other.expect("it is restored");
        assert_eq!(value(&other, "k").await, expected, "{until:?}");
        assert_eq!(value(&other, "deleted").await, deleted, "{until:?}");
    }
}

#[tokio::test]
async fn after_a_restore_the_archive_goes_on_and_both_pasts_are_kept_apart() {
    let vault = Vault::new().await;
    let (manifest, place) = declared(&vault);
    let mut system = System::start(&manifest).await;
    let (first, second) = (vault.path("a.backup"), vault.path("b.backup"));
    let key = ["--key-file", vault.key()];
    system
        .succeeds(&[&["backup", text(&first)][..], &key].concat())
        .await;
    save(&system, "k", "first").await;
    let between = moment().await;
    save(&system, "k", "second").await;
    archived(&place, &between, &[]).await;
    system.kill().await;

    // The manifest says where its archive is.
    let (folder, data_dir) = (system.folder().to_owned(), system.data_dir());
    let located = ["--dir", text(&folder), "--data-dir", text(&data_dir), "--force"];
    let restore = ["restore", text(&first), "--until", &between];
    let restored = mainstay(&[&restore[..], &key, &located].concat()).await;
    assert_eq!(restored.code, 0, "{restored:?}");
    system.start_again().await;
    assert_eq!(value(&system, "k").await, "first");
    save(&system, "k", "another present").await;
    let present = moment().await;
    system.process().line_with("begins anew").await;
    system
        .succeeds(&[&["backup", text(&second)][..], &key].concat())
        .await;
    save(&system, "k", "after it").await;
    let after = moment().await;
    save(&system, "k", "last").await;
    archived(&place, &after, &[]).await;
    system.kill().await;

    let from = async |backup: &Path, until: &str| {
        let restore = ["restore", text(backup), "--archive", &place, "--until", until];
        elsewhere(&[&restore[..], &key].concat(), &[]).await
    };
    let later = from(&second, &after).await.expect("it is restored");
    assert_eq!(value(&later, "k").await, "after it");
    let earlier = from(&first, &between).await.expect("it is restored");
    assert_eq!(value(&earlier, "k").await, "first");
    let Err(refused) = from(&first, &present).await else {
        panic!("there is a gap");
    };
    assert!(refused.stderr.contains("are missing"), "{refused:?}");
    let verified = mainstay(&[&["backup", "verify", &place][..], &key].concat()).await;
    assert_eq!(verified.code, 1, "the gap is told: {verified:?}");
    assert!(verified.stdout.contains("are missing"), "{verified:?}");
}

#[tokio::test]
async fn a_bucket_keeps_an_archive_and_a_bucket_that_is_away_stops_nothing() {
    if !test_server::available() {
        return;
    }
    let vault = Vault::new().await;
    let server = test_server::shared().await;
    let environment = server.environment();
    let place = format!("s3://{}/archive", test_server::BUCKET);
    let mut builder = System::with(&manifest(&format!(
        "{{ to: {place}, every: 20ms, unencrypted: true, s3_endpoint: \"${{AWS_ENDPOINT_URL_S3}}\" }}"
    )));
    for (name, value) in &environment {
        builder = builder.env(name, value);
    }
    let system = builder.start().await;
    let backup = vault.path("a.backup");
    system.succeeds(&["backup", text(&backup), "--unencrypted"]).await;
    save(&system, "k", "1").await;
    let between = moment().await;
    save(&system, "k", "2").await;
    let last = moment().await;
    save(&system, "k", "3").await;
    archived(&place, &last, &environment).await;
    system.kill().await;
    let restore = ["restore", text(&backup), "--archive", &place, "--until", &between];
    let other = elsewhere(&restore, &environment).await.expect("it is restored");
    assert_eq!(value(&other, "k").await, "1");

    // Nobody listens there.
    let away = System::with(&manifest(
        "{ to: s3://backups/x, every: 20ms, unencrypted: true, s3_endpoint: \"http://127.0.0.1:1\" }",
    ))
    .env("AWS_ACCESS_KEY_ID", "a")
    .env("AWS_SECRET_ACCESS_KEY", "b")
    .start()
    .await;
    save(&away, "k", "1").await;
    away.process().line_with("changes are not archived now").await;
    save(&away, "k", "2").await;
    assert_eq!(value(&away, "k").await, "2");
}
