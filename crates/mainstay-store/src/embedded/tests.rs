//! A disk that fails.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use super::log::file::LogFile;
use super::*;
use crate::batch::{Condition, Token};
use crate::port::Stored;

/// What the next call on a log file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The write gets so many bytes through, then fails.
    Append(usize, io::ErrorKind),
    /// All is written, but the sync fails.
    Sync,
    /// The write fails, and what got through cannot be taken back.
    Truncate,
}

type Plan = Arc<Mutex<Option<Fault>>>;

#[derive(Debug)]
struct FailingDisk(Plan);

#[derive(Debug)]
struct FailingFile {
    file: Box<dyn LogFile>,
    plan: Plan,
}

impl Medium for FailingDisk {
    fn create(&self, path: &Path, head: &[u8]) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(FailingFile {
            file: Disk.create(path, head)?,
            plan: self.0.clone(),
        }))
    }
}

impl LogFile for FailingFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut plan = self.plan.lock().unwrap();
        match *plan {
            Some(Fault::Append(through, kind)) => {
                *plan = None;
                self.file.append(&bytes[..through.min(bytes.len() - 1)])?;
                Err(kind.into())
            }
            Some(Fault::Truncate) => {
                self.file.append(&bytes[..bytes.len() / 2])?;
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => self.file.append(bytes),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut plan = self.plan.lock().unwrap();
        if *plan == Some(Fault::Sync) {
            *plan = None;
            return Err(io::Error::other("the disk is gone"));
        }
        self.file.sync()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        if *self.plan.lock().unwrap() == Some(Fault::Truncate) {
            return Err(io::Error::other("the disk is gone"));
        }
        self.file.truncate(length)
    }
}

struct Lab {
    folder: tempfile::TempDir,
    plan: Plan,
    store: Option<Embedded>,
}

impl Lab {
    fn new() -> Self {
        let mut lab = Self {
            folder: tempfile::tempdir().unwrap(),
            plan: Plan::default(),
            store: None,
        };
        lab.reopen();
        lab
    }

    fn reopen(&mut self) {
        self.store = None;
        *self.plan.lock().unwrap() = None;
        let plan = self.plan.clone();
        let options = Options::new(self.folder.path());
        let store = Embedded::open_on(&options, || Box::new(FailingDisk(plan.clone())));
        self.store = Some(store.unwrap());
    }

    fn store(&self) -> &Embedded {
        self.store.as_ref().unwrap()
    }

    fn fail(&self, fault: Fault) {
        *self.plan.lock().unwrap() = Some(fault);
    }

    async fn put(&self, name: &str) -> Result<Commit, CommitError> {
        self.store().commit(put(name)).await
    }

    async fn get(&self, name: &str) -> Option<Stored> {
        self.store().read(&[key(name)]).await.unwrap().values.remove(0)
    }
}

fn key(text: &str) -> Key {
    Key::new(text.to_owned()).unwrap()
}

fn put(name: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put(key(name), Value::new("v").unwrap());
    batch.set_token(Token::new(name.to_owned()).unwrap());
    batch
}

#[tokio::test]
async fn a_full_disk_refuses_and_recovers() {
    let mut lab = Lab::new();
    lab.put("before").await.unwrap();
    for through in [0, 1, 20, 1_000] {
        lab.fail(Fault::Append(through, io::ErrorKind::StorageFull));
        let error = lab.put("refused").await.unwrap_err();
        assert!(matches!(error, CommitError::Full(_)), "{error}");
        assert!(lab.get("refused").await.is_none());
        lab.put(&format!("after {through}")).await.unwrap();
    }
    lab.reopen();
    assert!(lab.get("before").await.is_some());
    assert!(lab.get("refused").await.is_none());
    assert!(lab.get("after 1000").await.is_some());
    assert!(!lab.put("refused").await.unwrap().replayed);
}

#[tokio::test]
async fn a_broken_disk_stops_writes_and_not_reads() {
    let mut lab = Lab::new();
    lab.put("before").await.unwrap();
    lab.fail(Fault::Append(30, io::ErrorKind::Other));
    for name in ["during", "after"] {
        let error = lab.put(name).await.unwrap_err();
        assert!(matches!(error, CommitError::Unavailable(_)), "{error}");
    }
    assert!(lab.get("before").await.is_some());
    assert!(lab.get("during").await.is_none());
    lab.reopen();
    assert!(lab.get("before").await.is_some());
    assert!(lab.get("during").await.is_none());
    lab.put("after").await.unwrap();
}

#[tokio::test]
async fn a_failed_sync_is_an_unknown_outcome_that_the_token_settles() {
    let mut lab = Lab::new();
    lab.put("before").await.unwrap();
    lab.fail(Fault::Sync);
    let error = lab.put("during").await.unwrap_err();
    assert!(matches!(error, CommitError::UnknownOutcome(_)), "{error}");
    assert!(
        lab.get("during").await.is_none(),
        "what could be lost is not shown"
    );
    let error = lab.put("after").await.unwrap_err();
    assert!(
        matches!(error, CommitError::Unavailable(_)),
        "a failed sync is not repeated: {error}"
    );

    lab.reopen();
    assert!(lab.get("before").await.is_some());
    let is_there = lab.get("during").await.is_some();
    assert_eq!(lab.put("during").await.unwrap().replayed, is_there);
    assert!(lab.get("after").await.is_none());
}

#[tokio::test]
async fn what_cannot_be_taken_back_stops_writes() {
    let mut lab = Lab::new();
    lab.put("before").await.unwrap();
    lab.fail(Fault::Truncate);
    let error = lab.put("during").await.unwrap_err();
    assert!(matches!(error, CommitError::Full(_)), "{error}");
    let error = lab.put("after").await.unwrap_err();
    assert!(matches!(error, CommitError::Unavailable(_)), "{error}");
    lab.reopen();
    assert!(lab.get("before").await.is_some());
    assert!(lab.get("during").await.is_none());
    lab.put("during").await.unwrap();
}

/// What a batch was told because of another one in its group is void when the group is not written.
#[tokio::test]
async fn nothing_is_told_that_rests_on_what_was_not_written() {
    let lab = Lab::new();
    for _ in 0..50 {
        lab.fail(Fault::Append(10, io::ErrorKind::StorageFull));
        let mut rival = put("b");
        rival.require(Condition::KeyAbsent { key: key("a") });
        // Both wait from here on, and are often taken as one group.
        let (first, second) = (lab.store().commit(put("a")), lab.store().commit(rival));
        let (first, second) = tokio::join!(first, second);
        assert!(matches!(first, Err(CommitError::Full(_))), "{first:?}");
        assert!(!matches!(second, Err(CommitError::Conflict(_))), "{second:?}");
        assert!(lab.get("a").await.is_none());
    }
}

#[tokio::test]
async fn a_closed_store_refuses() {
    let lab = Lab::new();
    let mut watch = lab.store().watch("a".into());
    lab.put("a").await.unwrap();
    lab.store().close();
    assert_eq!(lab.put("b").await, Err(CommitError::Closed));
    assert!(lab.get("a").await.is_some(), "it can still be read");
    // The change before the end may be told, then the end is.
    while watch.changed().await.is_ok() {}
}

#[tokio::test]
async fn two_cannot_open_it() {
    let mut lab = Lab::new();
    let error = Embedded::open(&Options::new(lab.folder.path())).unwrap_err();
    assert!(matches!(error, OpenError::Locked(_)), "{error}");
    lab.reopen();
}
