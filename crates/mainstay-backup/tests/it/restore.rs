use std::sync::Arc;

use mainstay_backup::format::File;
use mainstay_backup::{BackupError, BackupKey};
use mainstay_store::simulated::Simulated;
use mainstay_store::{Batch, CommitError, Replicated as _, Role, Store as _, Value, Version};

use crate::model::{
    Content, back_up, content, delete, filled, key, names, place, plan, put, put_once, quiet, restore,
};

const NOW_MS: u64 = 4_000_000_000_000;

#[tokio::test]
async fn a_store_comes_back_with_its_versions_and_tokens() {
    let (store, folder) = (filled().await, tempfile::tempdir().expect("a folder"));
    let (version, _) = put_once(&*store, "once", "1", "token").await;
    delete(&*store, "000/000").await;
    let expected = content(&*store).await;
    let sealed = BackupKey::generate().expect("a key");
    let place = place(folder.path(), "a.backup");
    let mut plan = plan(Some(&sealed));
    plan.files.push(File {
        name: "secrets.key".to_owned(),
        content: "0f0f".into(),
    });
    back_up(&store, &place, &plan).await;
    put(&*store, "001/001", "later").await;

    let target = Simulated::new();
    let checked = restore(place, Some(&sealed))
        .check(&quiet)
        .await
        .expect("it is whole");
    assert_eq!(checked.files, plan.files);
    let restored = checked
        .into_store(&target, NOW_MS, &quiet)
        .await
        .expect("restored");
    assert_eq!(restored.entries, expected.len() as u64);
    assert!(content(&target).await == expected);
    assert_eq!(target.role().await, Ok(Role::Primary));

    // Fencing tokens and ETags stay good; an attempt that is repeated is known; what comes now comes later.
    let mut batch = Batch::new();
    batch.require_version(key("once"), Some(version));
    batch.put(key("other"), Value::default());
    let later = target.commit(batch).await.expect("nobody changed it");
    assert!(
        later.version > Version::at_unix_ms(NOW_MS - 1),
        "{:?}",
        later.version
    );
    assert_eq!(put_once(&target, "once", "2", "token").await, (version, true));
}

#[tokio::test]
async fn a_store_that_holds_data_is_left_alone() {
    let (store, folder) = (filled().await, tempfile::tempdir().expect("a folder"));
    let place = place(folder.path(), "a.backup");
    back_up(&store, &place, &plan(None)).await;
    let target = Simulated::new();
    put(&target, "mine", "1").await;
    let before = content(&target).await;
    let checked = restore(place, None).check(&quiet).await.expect("it is whole");
    let error = checked
        .into_store(&target, NOW_MS, &quiet)
        .await
        .expect_err("refused");
    assert_eq!(error, BackupError::NotEmpty);
    assert_eq!(content(&target).await, before);
    assert_eq!(target.role().await, Ok(Role::Primary));
}

#[tokio::test]
async fn nothing_is_touched_before_all_of_it_was_verified() {
    let (store, folder) = (filled().await, tempfile::tempdir().expect("a folder"));
    let place = place(folder.path(), "a.backup");
    back_up(&store, &place, &plan(None)).await;
    let path = folder.path().join("a.backup");
    let good = std::fs::read(&path).expect("a file");
    for at in (0..good.len()).step_by(good.len() / 40) {
        let mut bad = good.clone();
        bad[at] ^= 0x10;
        std::fs::write(&path, &bad).expect("a file");
        let error = restore(place.clone(), None)
            .check(&quiet)
            .await
            .expect_err("it is damaged");
        assert!(matches!(error, BackupError::Format { .. }), "byte {at}: {error}");
        std::fs::write(&path, &good[..at]).expect("a file");
        let error = restore(place.clone(), None)
            .check(&quiet)
            .await
            .expect_err("it is cut off");
        assert!(matches!(error, BackupError::Format { .. }), "byte {at}: {error}");
    }
    assert_eq!(names(folder.path()), ["a.backup"]);
}

#[tokio::test]
async fn a_backup_that_changes_after_it_was_verified_does_not_become_a_primary() {
    let (store, folder) = (filled().await, tempfile::tempdir().expect("a folder"));
    let first = place(folder.path(), "a.backup");
    back_up(&store, &first, &plan(None)).await;
    put(&*store, "001/001", "later").await;
    back_up(&store, &place(folder.path(), "b.backup"), &plan(None)).await;
    let checked = restore(first, None).check(&quiet).await.expect("it is whole");
    std::fs::rename(folder.path().join("b.backup"), folder.path().join("a.backup")).expect("replaced");
    let target = Simulated::new();
    let error = checked
        .into_store(&target, NOW_MS, &quiet)
        .await
        .expect_err("it is another one");
    assert!(matches!(error, BackupError::Changed { .. }), "{error}");
    assert_eq!(target.role().await, Ok(Role::Replica));
}

/// Ends the restore at its `steps`-th report, as a process that is killed does, and says whether it was ended so.
async fn interrupted(folder: &std::path::Path, target: &Arc<Simulated>, steps: u32) -> bool {
    let checked = restore(place(folder, "a.backup"), None)
        .check(&quiet)
        .await
        .expect("it is whole");
    let left = std::sync::atomic::AtomicU32::new(steps);
    let crashing = target.clone();
    let report = move |_: &mainstay_backup::Progress| {
        if left.fetch_sub(1, std::sync::atomic::Ordering::Relaxed) == 1 {
            crashing.crash();
        }
    };
    checked.into_store(&**target, NOW_MS, &report).await.is_err()
}

#[tokio::test]
async fn an_interrupted_restore_is_no_store_and_can_be_begun_again() {
    let (store, folder) = (filled().await, tempfile::tempdir().expect("a folder"));
    let expected = content(&*store).await;
    back_up(&store, &place(folder.path(), "a.backup"), &plan(None)).await;
    let mut steps = 0;
    loop {
        steps += 1;
        let target = Arc::new(Simulated::new());
        if !interrupted(folder.path(), &target, steps).await {
            break;
        }
        target.recover();
        assert_eq!(target.role().await, Ok(Role::Replica));
        let mut batch = Batch::new();
        batch.put(key("x"), Value::default());
        assert_eq!(target.commit(batch).await, Err(CommitError::Replica));
        let partial = content(&*target).await;
        assert!(
            partial
                .iter()
                .all(|(key, value)| expected.get(key) == Some(value))
        );
    }
    assert!(
        steps > 2,
        "it was interrupted in the middle at least once: {steps}"
    );
    assert_ne!(expected, Content::new());
}
