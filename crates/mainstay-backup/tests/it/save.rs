use std::sync::atomic::Ordering;

use mainstay_backup::format::{Kind, Record};
use mainstay_backup::repository::{Folder, Place};
use mainstay_backup::{
    BackupError, BackupKey, Export, Incoming, Outgoing, Source, SourceError, latest, save, verify,
};
use mainstay_store::{ReadError, Version};

use crate::faulty::Faulty;
use crate::model::{back_up, filled, names, place, plan, put, quiet};

#[tokio::test]
async fn a_backup_is_there_when_it_was_read_back_and_not_before() {
    let (store, folder) = (filled().await, tempfile::tempdir().expect("a folder"));
    let key = BackupKey::generate().expect("a key");
    for key in [None, Some(&key)] {
        let name = if key.is_some() {
            "sealed.backup"
        } else {
            "plain.backup"
        };
        let place = place(folder.path(), name);
        let made = back_up(&store, &place, &plan(key)).await;
        assert_eq!(made.totals.entries, 3_000);
        assert_eq!(made.header.encryption.is_some(), key.is_some());
        let lock = plan(key).lock();
        let read = verify(&place, &lock, Kind::Backup, &quiet)
            .await
            .expect("it is whole");
        assert_eq!(read, made);
        // What nobody has to read is not readable, and none of it shows in a sealed one.
        let mode = std::os::unix::fs::PermissionsExt::mode(
            &path(&folder, name).metadata().expect("a file").permissions(),
        );
        assert_eq!(mode & 0o777, 0o600);
    }
    assert_eq!(names(folder.path()), ["plain.backup", "sealed.backup"]);
}

fn path(folder: &tempfile::TempDir, name: &str) -> std::path::PathBuf {
    folder.path().join(name)
}

#[tokio::test]
async fn nothing_is_overwritten() {
    let (store, folder) = (filled().await, tempfile::tempdir().expect("a folder"));
    let place = place(folder.path(), "a.backup");
    std::fs::write(path(&folder, "a.backup"), "mine").expect("a file");
    let source = Export::begin(store).await.expect("a snapshot");
    let error = save(source, &plan(None), &place, &quiet)
        .await
        .expect_err("refused");
    assert!(error.to_string().contains("never overwritten"), "{error}");
    assert_eq!(names(folder.path()), ["a.backup"]);
    assert_eq!(std::fs::read(path(&folder, "a.backup")).expect("a file"), b"mine");
}

#[tokio::test]
async fn what_cannot_be_written_or_read_back_leaves_nothing() {
    let (store, folder) = (filled().await, tempfile::tempdir().expect("a folder"));
    let repository = Faulty::new(Folder::new(folder.path()));
    let place = Place {
        repository: repository.clone(),
        name: "a.backup".to_owned(),
    };
    let attempt = async || {
        let source = Export::begin(store.clone()).await.expect("a snapshot");
        save(source, &plan(None), &place, &quiet)
            .await
            .expect_err("it fails")
    };
    for writes in [0, 1] {
        repository.writes_left.store(writes, Ordering::Relaxed);
        let error = attempt().await;
        assert!(matches!(error, BackupError::Repository(_)), "{error}");
    }
    repository.writes_left.store(u32::MAX, Ordering::Relaxed);
    repository.flips.store(true, Ordering::Relaxed);
    let error = attempt().await;
    let is_damage = |error: &BackupError| matches!(error, BackupError::Format { .. });
    assert!(is_damage(&error), "{error}");
    assert_eq!(names(folder.path()), [""; 0]);
}

/// Gives one page and then fails, or ends without saying so.
struct Broken(u32);

impl Source for Broken {
    fn at(&self) -> Version {
        Version::from_u64(1)
    }

    async fn next(&mut self) -> Result<Option<Vec<Record>>, SourceError> {
        self.0 += 1;
        if self.0 > 3 {
            return Err(ReadError::SnapshotTooOld.into());
        }
        Ok(Some(Vec::new()))
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_read_to_its_end_is_no_backup() {
    let folder = tempfile::tempdir().expect("a folder");
    let place = place(folder.path(), "a.backup");
    let error = save(Broken(0), &plan(None), &place, &quiet)
        .await
        .expect_err("it fails");
    assert!(
        error.to_string().contains("back up to a faster target"),
        "{error}"
    );
    assert_eq!(names(folder.path()), [""; 0]);
}

#[tokio::test]
async fn a_source_arrives_in_another_process_as_it_was() {
    let store = filled().await;
    crate::model::put_once(&*store, "once", "1", "token").await;
    let mut here = Export::begin(store.clone()).await.expect("a snapshot");
    let mut expected = Vec::new();
    while let Some(records) = here.next().await.expect("readable") {
        expected.extend(records);
    }
    let source = Export::begin(store.clone()).await.expect("a snapshot");
    // What comes later is not of this moment, and neither is its token.
    crate::model::put_once(&*store, "later", "1", "another token").await;
    let mut outgoing = Outgoing::new(source);
    let mut bytes = Vec::new();
    while let Some(part) = outgoing.next().await {
        bytes.extend_from_slice(&part);
    }
    let mut incoming = Incoming::new();
    let mut found = Vec::new();
    for piece in bytes.chunks(70_001) {
        found.extend(incoming.push(piece).expect("well formed"));
    }
    assert!(incoming.is_complete());
    assert_eq!(incoming.begin(), Some(here.at()));
    assert!(found == expected, "{} of {} records", found.len(), expected.len());

    let mut incoming = Incoming::new();
    incoming.push(&bytes[..bytes.len() - 1]).expect("well formed");
    assert!(!incoming.is_complete(), "the last byte is missing");
    assert!(
        incoming.push(&[bytes[bytes.len() - 1] ^ 1]).is_err(),
        "the checksum is another one"
    );

    let mut outgoing = Outgoing::new(Broken(0));
    let mut incoming = Incoming::new();
    let mut outcome = Ok(Vec::new());
    while let Some(part) = outgoing.next().await {
        outcome = incoming.push(&part);
    }
    let error = outcome.expect_err("it failed on the other side").to_string();
    assert!(error.contains("faster target"), "{error}");
    assert!(!incoming.is_complete());
}

#[tokio::test]
async fn the_latest_is_found_among_many() {
    let (store, folder) = (filled().await, tempfile::tempdir().expect("a folder"));
    let mut moments = Vec::new();
    for name in ["c.backup", "a.backup", "b.backup"] {
        put(&*store, "key", name).await;
        moments.push(
            back_up(&store, &place(folder.path(), name), &plan(None))
                .await
                .header
                .at,
        );
    }
    let repository = place(folder.path(), "").repository;
    let name = async |until| latest(&repository, until).await.map(|place| place.name);
    assert_eq!(name(None).await.as_deref(), Ok("b.backup"));
    assert_eq!(name(Some(moments[1])).await.as_deref(), Ok("a.backup"));
    assert_eq!(name(Some(moments[0])).await.as_deref(), Ok("c.backup"));
    let none = name(Some(Version::from_u64(1))).await.expect_err("all are later");
    assert!(none.to_string().contains("there is no backup of 1970"), "{none}");
}
