//! A disk that fails.

mod following;
mod past;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use mainstay_base::ManualClock;

use super::log::file::LogFile;
use super::*;
use crate::batch::{Condition, Token};
use crate::port::{Stored, TOKEN_LIFETIME};
use crate::version::WallClock;

/// What the next call on a log file does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    /// The write gets so many bytes through, then fails.
    Append(usize, io::ErrorKind),
    /// All is written, but the sync fails.
    Sync,
    /// The write fails, and what got through cannot be taken back.
    Truncate,
    /// The sync takes until there is another plan.
    Hold,
}

#[derive(Debug, Default)]
struct Plan {
    next: Mutex<Option<Fault>>,
    changed: Condvar,
}

impl Plan {
    fn set(&self, fault: Option<Fault>) {
        *self.next.lock().unwrap() = fault;
        self.changed.notify_all();
    }
}

#[derive(Debug)]
struct FailingDisk(Arc<Plan>);

#[derive(Debug)]
struct FailingFile {
    file: Box<dyn LogFile>,
    plan: Arc<Plan>,
}

impl Medium for FailingDisk {
    fn create(&self, path: &Path, head: &[u8]) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(FailingFile {
            file: Disk.create(path, head)?,
            plan: self.0.clone(),
        }))
    }

    fn begin(&self, path: &Path, head: &[u8]) -> io::Result<Box<dyn LogFile>> {
        Ok(Box::new(FailingFile {
            file: Disk.begin(path, head)?,
            plan: self.0.clone(),
        }))
    }

    fn reserve(&self, folder: &Path, bytes: u64) -> io::Result<()> {
        Disk.reserve(folder, bytes)
    }

    fn place(&self, path: &Path) -> io::Result<()> {
        Disk.place(path)
    }

    fn release(&self, folder: &Path, placed: Option<&Path>) -> io::Result<()> {
        Disk.release(folder, placed)
    }
}

impl LogFile for FailingFile {
    fn write(&mut self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut plan = self.plan.next.lock().unwrap();
        match *plan {
            Some(Fault::Append(through, kind)) => {
                *plan = None;
                self.file.write(&bytes[..through.min(bytes.len() - 1)], offset)?;
                Err(kind.into())
            }
            Some(Fault::Truncate) => {
                self.file.write(&bytes[..bytes.len() / 2], offset)?;
                Err(io::ErrorKind::StorageFull.into())
            }
            _ => self.file.write(bytes, offset),
        }
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut plan = self.plan.next.lock().unwrap();
        if *plan == Some(Fault::Sync) {
            *plan = None;
            return Err(io::Error::other("the disk is gone"));
        }
        let held = self
            .plan
            .changed
            .wait_while(plan, |plan| *plan == Some(Fault::Hold));
        drop(held.unwrap());
        self.file.sync()
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        if *self.plan.next.lock().unwrap() == Some(Fault::Truncate) {
            return Err(io::Error::other("the disk is gone"));
        }
        self.file.truncate(length)
    }
}

struct Lab {
    folder: tempfile::TempDir,
    plan: Arc<Plan>,
    options: Options,
    store: Option<Embedded>,
}

impl Lab {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(set: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::new(folder.path());
        set(&mut options);
        let mut lab = Self {
            folder,
            plan: Arc::default(),
            options,
            store: None,
        };
        lab.reopen();
        lab
    }

    fn reopen(&mut self) {
        self.store = None;
        self.plan.set(None);
        let plan = self.plan.clone();
        let store = Embedded::open_on(&self.options, || Box::new(FailingDisk(plan.clone())));
        self.store = Some(store.unwrap());
    }

    fn store(&self) -> &Embedded {
        self.store.as_ref().unwrap()
    }

    fn fail(&self, fault: Fault) {
        self.plan.set(Some(fault));
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

#[tokio::test]
async fn what_there_is_no_room_for_is_refused_at_once_and_reads_go_on() {
    let lab = Lab::with(|options| options.queue_batches = 3);
    lab.put("before").await.unwrap();
    lab.fail(Fault::Hold);
    let mut waiting = Vec::new();
    let refusal = loop {
        let mut reply = lab.store().commit(put(&waiting.len().to_string()));
        // What is refused is answered without waiting; the others wait for the disk.
        let answer = std::future::poll_fn(|context| {
            std::task::Poll::Ready(std::pin::Pin::new(&mut reply).poll(context))
        });
        match answer.await {
            std::task::Poll::Ready(answer) => break answer,
            std::task::Poll::Pending => waiting.push(reply),
        }
    };
    assert_eq!(refusal, Err(CommitError::Overloaded));
    assert!((3..=7).contains(&waiting.len()), "{} wait", waiting.len());
    assert!(lab.get("before").await.is_some());
    assert!(lab.get("0").await.is_none(), "what is not durable is not shown");
    assert_eq!(
        lab.store().snapshot().await.unwrap().version(),
        lab.get("before").await.unwrap().version
    );
    lab.plan.set(None);
    for reply in waiting {
        reply.await.unwrap();
    }
}

#[tokio::test]
async fn tokens_are_kept_for_their_time_and_then_forgotten() {
    let clock = Arc::new(ManualClock::new());
    let mut lab = Lab::with(|options| options.clock = clock.clone());
    let again = async |lab: &Lab| lab.put("a").await.unwrap().replayed;
    assert!(!again(&lab).await);
    clock.advance(TOKEN_LIFETIME.mul_f64(0.99));
    assert!(again(&lab).await);
    lab.put("b").await.unwrap();
    clock.advance(TOKEN_LIFETIME.mul_f64(0.99));
    lab.put("c").await.unwrap();
    assert!(lab.put("b").await.unwrap().replayed, "not older than its time");
    lab.reopen();
    assert!(
        lab.put("b").await.unwrap().replayed,
        "a restart does not make it forget"
    );
    clock.advance(3 * TOKEN_LIFETIME);
    for name in ["d", "e", "f"] {
        lab.put(name).await.unwrap();
        clock.advance(TOKEN_LIFETIME);
    }
    assert!(!again(&lab).await, "long forgotten");
    let tokens = lab.store().reader.tree.range(space::tokens(), tree::LATEST);
    assert!(tokens.count() <= 4, "and swept away");
}

#[derive(Debug, Default)]
struct JumpingClock(AtomicU64);

impl WallClock for JumpingClock {
    fn unix_ms(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn versions_grow_whatever_the_wall_clock_does() {
    let wall = Arc::new(JumpingClock::default());
    let mut lab = Lab::with(|options| options.wall_clock = wall.clone());
    let mut last = crate::Version::ZERO;
    for (round, unix_ms) in [50_000, 1_000, 0, 60_000, 60_000, 5].into_iter().enumerate() {
        wall.0.store(unix_ms, Ordering::Relaxed);
        for attempt in 0..3 {
            let version = lab.put(&format!("{round} {attempt}")).await.unwrap().version;
            assert!(version > last, "round {round}");
            last = version;
        }
        assert_eq!(lab.store().snapshot().await.unwrap().version(), last);
        lab.reopen();
        assert_eq!(lab.store().snapshot().await.unwrap().version(), last);
    }
}

/// The tree cannot be written: memory fills up, then commits are refused; when it can, they work again.
#[tokio::test]
async fn a_flush_that_fails_refuses_and_recovers() {
    let lab = Lab::with(|options| options.memtable_bytes = 4 * 1_024);
    let tables = lab.folder.path().join("data/tree/tables");
    let away = lab.folder.path().join("data/tree/tables.away");
    std::fs::rename(&tables, &away).unwrap();
    let mut committed = Vec::new();
    let error = loop {
        let name = format!("{:04}", committed.len());
        let mut batch = put(&name);
        batch.put(
            key(&format!("{name}/large")),
            Value::new(vec![b'x'; 2_000]).unwrap(),
        );
        match lab.store().commit(batch).await {
            Ok(_) => committed.push(name),
            Err(error) => break error,
        }
        assert!(committed.len() < 1_000, "memory is bounded");
    };
    assert!(matches!(error, CommitError::Unavailable(_)), "{error}");
    for name in &committed {
        assert!(lab.get(name).await.is_some(), "{name}");
    }
    std::fs::rename(&away, &tables).unwrap();
    let recovered = tokio::time::timeout(Duration::from_secs(30), async {
        while lab.put("after").await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    recovered.await.unwrap();
    for name in &committed {
        assert!(lab.get(name).await.is_some(), "{name}");
    }
}
