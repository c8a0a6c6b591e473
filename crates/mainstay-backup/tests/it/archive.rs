use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mainstay_backup::archive::{ArchiveMetrics, Archiver, ArchiverOptions, segments};
use mainstay_backup::repository::{Folder, Repository};
use mainstay_backup::{BackupError, BackupKey, PresentStore, Restore};
use mainstay_store::embedded::{self, Embedded};
use mainstay_store::simulated::Simulated;
use mainstay_store::{FollowerName, Replicated, Switch, SystemWallClock, Version};
use proptest::prelude::*;

use crate::faulty::Faulty;
use crate::model::{Content, back_up, content, delete, place, plan, put, put_once, quiet, restore};

fn options(to: Arc<dyn Repository>, key: Option<&BackupKey>) -> ArchiverOptions {
    ArchiverOptions {
        to,
        every: Duration::from_millis(5),
        keep: None,
        system: "shop".to_owned(),
        mainstay: "0.1.0".to_owned(),
        key: key.cloned(),
    }
}

/// A store that stays where it is.
fn present<S: Replicated>(store: &Arc<S>) -> Arc<PresentStore> {
    let store = Arc::clone(store);
    Arc::new(move || Arc::clone(&store) as Arc<dyn Replicated>)
}

async fn start<S: Replicated>(store: &Arc<S>, options: ArchiverOptions) -> (Archiver, Arc<ArchiveMetrics>) {
    let metrics = Arc::new(ArchiveMetrics::default());
    let started = Archiver::start(
        options,
        present(store),
        metrics.clone(),
        Arc::new(SystemWallClock),
    )
    .await;
    (started.expect("it follows"), metrics)
}

async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(60), waiting).await;
    assert!(waited.is_ok(), "not in time: {what}");
}

async fn into_new_store(restore: Restore) -> Result<(Content, Version), BackupError> {
    let target = Simulated::new();
    let checked = restore.check(&quiet).await?;
    let reaches = checked.reaches;
    let restored = checked.into_store(&target, 4_000_000_000_000, &quiet).await?;
    assert!(restored.last <= reaches);
    Ok((content(&target).await, restored.last))
}

#[tokio::test]
async fn every_moment_since_the_backup_comes_back() {
    let (store, folder) = (Arc::new(Simulated::new()), tempfile::tempdir().expect("a folder"));
    let key = BackupKey::generate().expect("a key");
    let archive: Arc<dyn Repository> = Arc::new(Folder::new(folder.path().join("archive")));
    put(&*store, "before", "1").await;
    let (archiver, metrics) = start(&store, options(archive.clone(), Some(&key))).await;
    put(&*store, "meanwhile", "1").await;
    let backup = place(folder.path(), "a.backup");
    let made = back_up(&store, &backup, &plan(Some(&key))).await;
    let mut moments = vec![(made.header.at, content(&*store).await)];
    for number in 0..20 {
        let name = format!("key/{}", number % 5);
        let version = match number % 3 {
            0 => put(&*store, &name, &number.to_string()).await,
            1 => {
                put_once(
                    &*store,
                    &name,
                    "once",
                    Box::leak(format!("t{number}").into_boxed_str()),
                )
                .await
                .0
            }
            _ => delete(&*store, &name).await,
        };
        moments.push((version, content(&*store).await));
        if number % 4 == 0 {
            until("it is archived", async || metrics.last() >= version).await;
        }
    }
    archiver.stop().await;
    let restore_to = |until| Restore {
        archive: Some(archive.clone()),
        until,
        ..restore(backup.clone(), Some(&key))
    };
    for (version, expected) in &moments {
        let (found, last) = into_new_store(restore_to(Some(*version)))
            .await
            .expect("restored");
        assert!(found == *expected, "at {version}");
        assert_eq!(last, *version);
    }
    let (last, expected) = moments.last().expect("moments");
    let all = into_new_store(restore_to(None)).await.expect("restored");
    assert_eq!(all, (expected.clone(), *last));
    let early = into_new_store(restore_to(Some(Version::from_u64(1))))
        .await
        .expect_err("the backup is later");
    assert!(matches!(early, BackupError::Later { .. }), "{early}");
    assert!(segments(&archive.list().await.expect("a list")).len() > 1);
}

#[tokio::test]
async fn a_missing_segment_is_told_and_what_lies_before_it_is_restored() {
    let (store, folder) = (Arc::new(Simulated::new()), tempfile::tempdir().expect("a folder"));
    let archive: Arc<dyn Repository> = Arc::new(Folder::new(folder.path().join("archive")));
    let (archiver, metrics) = start(&store, options(archive.clone(), None)).await;
    let backup = place(folder.path(), "a.backup");
    back_up(&store, &backup, &plan(None)).await;
    let mut versions = Vec::new();
    for number in 0..3 {
        let version = put(&*store, "key", &number.to_string()).await;
        until("it is archived", async || metrics.last() >= version).await;
        versions.push(version);
    }
    archiver.stop().await;
    let known = segments(&archive.list().await.expect("a list"));
    let second = known
        .iter()
        .find(|segment| segment.after < versions[1] && versions[1] <= segment.up_to);
    archive
        .remove(&second.expect("a segment").to_string())
        .await
        .expect("removed");
    let restore_to = |until| Restore {
        archive: Some(archive.clone()),
        until,
        ..restore(backup.clone(), None)
    };
    for until in [None, Some(versions[1]), Some(versions[2])] {
        let error = into_new_store(restore_to(until))
            .await
            .expect_err("there is a gap");
        assert!(matches!(error, BackupError::Broken { .. }), "{error}");
    }
    let (found, _) = into_new_store(restore_to(Some(versions[0])))
        .await
        .expect("before the gap");
    assert_eq!(found.len(), 1);

    // A segment under the name of another is not taken for it.
    let name = known.last().expect("a segment").to_string();
    std::fs::copy(
        folder.path().join("archive").join(known[0].to_string()),
        folder
            .path()
            .join("archive")
            .join(second.expect("a segment").to_string()),
    )
    .expect("copied");
    let error = into_new_store(restore_to(None))
        .await
        .expect_err("it is another one");
    assert!(
        matches!(error, BackupError::NotWhatWasWritten { .. }),
        "{name}: {error}"
    );
}

#[tokio::test]
async fn an_archive_that_is_gone_does_not_stop_the_store_and_catches_up() {
    let (store, folder) = (Arc::new(Simulated::new()), tempfile::tempdir().expect("a folder"));
    let archive = Faulty::new(Folder::new(folder.path().join("archive")));
    archive.is_gone.store(true, Ordering::Relaxed);
    let (archiver, metrics) = start(&store, options(archive.clone(), None)).await;
    let backup = place(folder.path(), "a.backup");
    back_up(&store, &backup, &plan(None)).await;
    let version = put(&*store, "key", "1").await;
    until("it fails", async || failures(&metrics) > 1.0).await;
    assert!(metrics.last() < version);
    archive.is_gone.store(false, Ordering::Relaxed);
    until("it is archived", async || metrics.last() >= version).await;
    archiver.stop().await;
    let restore = Restore {
        archive: Some(archive),
        ..restore(backup, None)
    };
    let (found, _) = into_new_store(restore).await.expect("restored");
    assert_eq!(found, content(&*store).await);
}

fn failures(metrics: &ArchiveMetrics) -> f64 {
    value(metrics, "mainstay_archive_failures_total")
}

/// A metric by its name.
fn value(metrics: &ArchiveMetrics, name: &str) -> f64 {
    use mainstay_base::metric::{Collect as _, Descriptor, Histogram, Visitor};
    struct Find<'a>(&'a str, f64);
    impl Visitor for Find<'_> {
        fn value(&mut self, descriptor: &'static Descriptor, _: &[&str], value: f64) {
            if descriptor.name == self.0 {
                self.1 = value;
            }
        }
        fn histogram(&mut self, _: &'static Descriptor, _: &[&str], _: &Histogram) {}
    }
    let mut find = Find(name, -1.0);
    metrics.collect(&mut find);
    find.1
}

#[tokio::test]
async fn an_archive_that_was_lost_begins_anew_and_the_gap_is_told() {
    let (store, folder) = (Arc::new(Simulated::new()), tempfile::tempdir().expect("a folder"));
    let archive = Faulty::new(Folder::new(folder.path().join("archive")));
    let (archiver, metrics) = start(&store, options(archive.clone(), None)).await;
    let first = place(folder.path(), "a.backup");
    back_up(&store, &first, &plan(None)).await;
    let version = put(&*store, "key", "1").await;
    until("it is archived", async || metrics.last() >= version).await;

    archive.is_gone.store(true, Ordering::Relaxed);
    store.set_max_feed_bytes(1_000);
    for number in 0..20 {
        put(&*store, &format!("large/{number}"), &"x".repeat(200)).await;
    }
    archive.is_gone.store(false, Ordering::Relaxed);
    until("it is noticed", async || {
        value(&metrics, "mainstay_archive_gaps_total") > 0.0
    })
    .await;
    let second = place(folder.path(), "b.backup");
    back_up(&store, &second, &plan(None)).await;
    let version = put(&*store, "key", "2").await;
    until("it is archived", async || metrics.last() >= version).await;
    archiver.stop().await;

    let restore_from = |backup| Restore {
        archive: Some(archive.clone() as Arc<dyn Repository>),
        ..restore(backup, None)
    };
    let error = into_new_store(restore_from(first))
        .await
        .expect_err("there is a gap");
    assert!(matches!(error, BackupError::Broken { .. }), "{error}");
    let (found, _) = into_new_store(restore_from(second)).await.expect("restored");
    assert_eq!(found, content(&*store).await);
}

#[tokio::test]
async fn the_archive_of_another_store_is_not_mixed_with() {
    let folder = tempfile::tempdir().expect("a folder");
    let archive: Arc<dyn Repository> = Arc::new(Folder::new(folder.path()));
    let (one, other) = (Arc::new(Simulated::new()), Arc::new(Simulated::new()));
    put(&*one, "key", "1").await;
    let (archiver, metrics) = start(&one, options(archive.clone(), None)).await;
    let version = put(&*one, "key", "2").await;
    until("it is archived", async || metrics.last() >= version).await;
    archiver.stop().await;
    let before = archive.list().await.expect("a list");

    // The clock of the other one is behind: it has not committed anything yet.
    let (archiver, metrics) = start(&other, options(archive.clone(), None)).await;
    until("it is refused", async || failures(&metrics) > 0.0).await;
    archiver.stop().await;
    assert_eq!(archive.list().await.expect("a list"), before);
}

/// Its versions go on while nothing is changed, which must not look like a change that is missing.
#[tokio::test]
async fn an_embedded_store_that_rests_leaves_no_gap() {
    let folder = tempfile::tempdir().expect("a folder");
    let options_of_store = embedded::Options::new(folder.path().join("store"));
    let archive: Arc<dyn Repository> = Arc::new(Folder::new(folder.path().join("archive")));
    let backup = place(folder.path(), "a.backup");
    let mut expected = Content::new();
    for round in 0..4 {
        // An archiver that was ended without a word gives it back a little later.
        let mut opened = None;
        until("it can be opened", async || {
            opened = Embedded::open(&options_of_store).ok();
            opened.is_some()
        })
        .await;
        let store = Arc::new(opened.expect("a store"));
        let (archiver, metrics) = start(&store, options(archive.clone(), None)).await;
        if round == 0 {
            back_up(&store, &backup, &plan(None)).await;
        }
        for number in 0..3 {
            let version = put(&*store, &format!("key/{number}"), &round.to_string()).await;
            until("it is archived", async || metrics.last() >= version).await;
            // Some rounds without a change.
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if round % 2 == 0 {
            archiver.stop().await;
        } else {
            drop(archiver);
        }
        expected = content(&*store).await;
    }
    let restore = Restore {
        archive: Some(archive),
        ..restore(backup, None)
    };
    let (found, _) = into_new_store(restore).await.expect("no gap");
    assert_eq!(found, expected);
}

#[tokio::test]
async fn a_store_that_was_moved_is_followed_where_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let archive: Arc<dyn Repository> = Arc::new(Folder::new(folder.path().join("archive")));
    let (one, other) = (Arc::new(Simulated::new()), Arc::new(Simulated::new()));
    let switch = Switch::new(one.clone());
    let present = switch.clone();
    let metrics = Arc::new(ArchiveMetrics::default());
    let clock = Arc::new(SystemWallClock);
    let present: Arc<PresentStore> = Arc::new(move || present.present());
    let archiver = Archiver::start(options(archive.clone(), None), present, metrics.clone(), clock);
    let archiver = archiver.await.expect("it follows");
    let version = put(&*one, "key", "1").await;
    until("it is archived", async || metrics.last() >= version).await;

    let last = one.demote().await.expect("demoted");
    other.demote().await.expect("demoted");
    other.promote(last).await.expect("promoted");
    let next: Arc<dyn Replicated> = other.clone();
    let place_of_other = switch.admit(&next).expect("there is room");
    let paused = switch
        .pause(Duration::from_secs(5))
        .await
        .expect("nobody commits");
    paused.switch_to(place_of_other, last);
    let name = FollowerName::new("archive").expect("a name");
    until("the other one is followed", async || {
        let followers = other.followers().await.expect("followers");
        followers.iter().any(|one| one.name == name)
    })
    .await;
    let backup = place(folder.path(), "a.backup");
    back_up(&other, &backup, &plan(None)).await;
    let version = put(&*other, "key", "2").await;
    until("it is archived", async || metrics.last() >= version).await;
    archiver.stop().await;
    let restore = Restore {
        archive: Some(archive),
        ..restore(backup, None)
    };
    let (found, _) = into_new_store(restore).await.expect("restored");
    assert_eq!(found, content(&*other).await);
}

#[derive(Clone, Debug)]
enum Action {
    Put(u8, u8),
    Delete(u8),
    /// Stops the archiver and starts it again.
    Restart,
    /// Ends it without a word, and starts it again.
    Kill,
    /// Waits until everything is archived.
    Settle,
    BackUp,
}

fn any_action() -> impl Strategy<Value = Action> {
    prop_oneof![
        6 => (0_u8..8, any::<u8>()).prop_map(|(key, value)| Action::Put(key, value)),
        2 => (0_u8..8).prop_map(Action::Delete),
        1 => Just(Action::Restart),
        1 => Just(Action::Kill),
        1 => Just(Action::Settle),
        1 => Just(Action::BackUp),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever happens in between, each backup leads to each later moment.
    #[test]
    fn any_history_can_be_gone_through(actions in proptest::collection::vec(any_action(), 1..40), pick: prop::sample::Index) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(history(actions, pick));
    }
}

async fn history(actions: Vec<Action>, pick: prop::sample::Index) {
    let (store, folder) = (Arc::new(Simulated::new()), tempfile::tempdir().expect("a folder"));
    let archive: Arc<dyn Repository> = Arc::new(Folder::new(folder.path().join("archive")));
    let (mut archiver, mut metrics) = start(&store, options(archive.clone(), None)).await;
    let first = back_up(&store, &place(folder.path(), "0.backup"), &plan(None)).await;
    let mut backups = vec![first.header.at];
    let mut moments = vec![(first.header.at, Content::new())];
    for action in actions {
        match action {
            Action::Put(key, value) => {
                let version = put(&*store, &key.to_string(), &value.to_string()).await;
                moments.push((version, content(&*store).await));
            }
            Action::Delete(key) => {
                let version = delete(&*store, &key.to_string()).await;
                moments.push((version, content(&*store).await));
            }
            Action::Restart => {
                archiver.stop().await;
                (archiver, metrics) = start(&store, options(archive.clone(), None)).await;
            }
            Action::Kill => {
                drop(archiver);
                (archiver, metrics) = start(&store, options(archive.clone(), None)).await;
            }
            Action::Settle => {
                let last = moments.last().expect("moments").0;
                until("it is archived", async || metrics.last() >= last).await;
            }
            Action::BackUp => {
                let name = format!("{}.backup", backups.len());
                let made = back_up(&store, &place(folder.path(), &name), &plan(None)).await;
                backups.push(made.header.at);
            }
        }
    }
    archiver.stop().await;
    let (version, expected) = &moments[pick.index(moments.len())];
    for (number, at) in backups.iter().enumerate().filter(|(_, at)| *at <= version) {
        let restore = Restore {
            archive: Some(archive.clone()),
            until: Some(*version),
            ..restore(place(folder.path(), &format!("{number}.backup")), None)
        };
        let (found, _) = into_new_store(restore).await.expect("restored");
        assert!(found == *expected, "from {at} to {version}");
    }
}
