//! A store moves to another schema while it is in use and the server is killed again and again: copied, followed, handed
//! over. In the end the copy is what the source was, and goes on from there.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use mainstay_base::{Rng, SplitMix64};
use mainstay_postgres::test_server::TestServer;
use mainstay_store::postgres::Postgres;
use mainstay_store::{
    Batch, CommitError, Entry, FollowError, FollowerName, Key, KeyRange, Portion, ReadError, Replicated,
    Role, Scan, Store, Token, Value, Version,
};
use tokio::task::JoinSet;

use super::{open, options_on};

const PATIENCE: Duration = Duration::from_secs(120);

/// Kills while the store is copied and followed.
const KILLS: u64 = 5;

/// Keys that are there at first, and then written to.
const KEYS: u64 = 4_000;

/// What may be asked again, because the server is away.
trait Outage {
    fn is_outage(&self) -> bool;
}

impl Outage for CommitError {
    fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::UnknownOutcome(_))
    }
}

impl Outage for ReadError {
    fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl Outage for FollowError {
    fn is_outage(&self) -> bool {
        match self {
            Self::Read(error) => error.is_outage(),
            Self::Commit(error) => error.is_outage(),
            _ => false,
        }
    }
}

/// How often the move was told of an outage.
static OUTAGES: AtomicU64 = AtomicU64::new(0);

/// Asks until the server is there.
async fn insist<T, E: Outage + std::fmt::Debug>(ask: impl AsyncFn() -> Result<T, E>) -> T {
    let asking = async {
        loop {
            match ask().await {
                Ok(answer) => return answer,
                Err(error) if error.is_outage() => {
                    OUTAGES.fetch_add(1, Ordering::Relaxed);
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    tokio::time::timeout(PATIENCE, asking).await.unwrap()
}

fn key(number: u64) -> Key {
    Key::new(format!("key/{number:06}")).unwrap()
}

/// Puts, deletes and appends until it is told that the store moves away. Gives the version of its last commit.
async fn write(store: Arc<Postgres>, writer: u64) -> Version {
    let mut rng = SplitMix64::new(writer);
    let mut last = Version::ZERO;
    for round in 0.. {
        let mut batch = Batch::new();
        let number = rng.below(KEYS);
        batch.put(key(number), Value::new(format!("{writer}/{round}")).unwrap());
        batch.delete(key((number + 1) % KEYS));
        batch.append(
            mainstay_store::AppendPrefix::new("log/").unwrap(),
            Value::new(vec![b'x'; 100]).unwrap(),
        );
        batch.set_token(Token::new(format!("{writer}/{round}")).unwrap());
        loop {
            match store.commit(batch.clone()).await {
                Ok(commit) => {
                    last = commit.version;
                    break;
                }
                Err(CommitError::Replica) => return last,
                Err(error) if error.is_outage() => tokio::time::sleep(Duration::from_millis(10)).await,
                Err(error) => panic!("{error:?}"),
            }
        }
    }
    last
}

async fn entries(store: &Postgres) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut rest = Some(KeyRange::all());
    while let Some(range) = rest {
        let scan = Scan::new(range);
        let page = insist(async || store.scan(&scan).await).await;
        entries.extend(page.entries);
        rest = page.rest;
    }
    entries
}

async fn tokens(store: &Postgres) -> Vec<(Token, Version)> {
    let mut tokens: Vec<(Token, Version)> = Vec::new();
    loop {
        let after = tokens.last().map(|(token, _)| token.clone());
        let page = insist(async || store.tokens(after.as_ref()).await).await;
        if page.is_empty() {
            return tokens;
        }
        tokens.extend(page);
    }
}

async fn copy_all(source: &Postgres, target: &Postgres) {
    let mut rest = Some(KeyRange::all());
    while let Some(range) = rest {
        let scan = Scan::new(range).limit(300);
        let page = insist(async || source.scan(&scan).await).await;
        let portion = Portion {
            entries: page.entries,
            tokens: Vec::new(),
        };
        insist(async || target.copy(portion.clone()).await).await;
        rest = page.rest;
    }
    let portion = Portion {
        entries: Vec::new(),
        tokens: tokens(source).await,
    };
    insist(async || target.copy(portion.clone()).await).await;
}

/// Applies what there is, and gives up to where it came.
async fn catch_up(source: &Postgres, target: &Postgres, name: &FollowerName, mut after: Version) -> Version {
    loop {
        let changes = insist(async || source.changes(name, after).await).await;
        insist(async || target.apply(&changes.commits).await).await;
        after = changes.up_to;
        insist(async || source.confirm(name, after).await).await;
        if !changes.has_more {
            return after;
        }
    }
}

async fn fill(store: &Postgres) {
    for first in (0..KEYS).step_by(500) {
        let mut batch = Batch::new();
        for number in first..first + 500 {
            batch.put(key(number), Value::new("at first").unwrap());
        }
        store.commit(batch).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_moves_while_it_is_used_and_the_server_is_killed() {
    let Some(mut server) = TestServer::start_if_available().await else {
        return;
    };
    let source = open(&options_on(&server, "source")).await;
    let elsewhere = open(&options_on(&server, "source")).await;
    let target = open(&options_on(&server, "target")).await;
    fill(&source).await;
    let mut writers = JoinSet::new();
    for (writer, store) in [(1, source.clone()), (2, elsewhere.clone())] {
        writers.spawn(write(store, writer));
    }
    let name = FollowerName::new("move").unwrap();
    let are_killed = AtomicBool::new(false);
    let moving = async {
        let mut after = insist(async || source.follow(&name).await).await;
        assert_eq!(insist(async || target.demote().await).await, Version::ZERO);
        copy_all(&source, &target).await;
        while !are_killed.load(Ordering::Relaxed) {
            after = catch_up(&source, &target, &name, after).await;
        }
        let last = insist(async || source.demote().await).await;
        assert_eq!(catch_up(&source, &target, &name, after).await, last);
        insist(async || target.promote(last).await).await;
        last
    };
    let mut rng = SplitMix64::new(20_261_130);
    let killing = async {
        for _ in 0..KILLS {
            // Somewhere in the work, not waiting for anything.
            tokio::time::sleep(Duration::from_millis(50 + rng.below(300))).await;
            server.crash();
            server.resume().await;
        }
        are_killed.store(true, Ordering::Relaxed);
    };
    let (last, ()) = tokio::join!(moving, killing);
    assert!(OUTAGES.load(Ordering::Relaxed) >= KILLS, "it met each kill");
    let written = writers.join_all().await;
    assert!(
        written.iter().all(|version| *version <= last),
        "{written:?} {last:?}"
    );
    assert_eq!(elsewhere.role().await.unwrap(), Role::Replica);

    let (ours, theirs) = (entries(&source).await, entries(&target).await);
    assert!(
        ours.len() > 100 && ours == theirs,
        "{} and {}",
        ours.len(),
        theirs.len()
    );
    assert_eq!(tokens(&source).await, tokens(&target).await);
    let mut batch = Batch::new();
    batch.put(key(0), Value::new("there").unwrap());
    assert!(target.commit(batch).await.unwrap().version > last);
}
