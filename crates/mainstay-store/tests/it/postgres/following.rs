//! Followers and copies on PostgreSQL: what is particular to it.

use std::time::Duration;

use mainstay_postgres::test_server::new_schema;
use mainstay_store::{
    Batch, CommitError, Committed, Entry, FollowError, FollowerName, Key, Portion, ReadError, Replicated,
    Role, Store, Value, Version,
};

use super::{open, options_on, shared};

const PATIENCE: Duration = Duration::from_secs(60);

fn name() -> FollowerName {
    FollowerName::new("archive").unwrap()
}

fn put(name: &str, bytes: usize) -> Batch {
    let mut batch = Batch::new();
    batch.put(
        Key::new(name.to_owned()).unwrap(),
        Value::new(vec![b'x'; bytes]).unwrap(),
    );
    batch
}

fn entry(name: &'static str, version: u64) -> Entry {
    Entry {
        key: Key::new(name).unwrap(),
        value: Value::new("value").unwrap(),
        version: Version::from_u64(version),
    }
}

fn portion(entries: Vec<Entry>) -> Portion {
    Portion {
        entries,
        tokens: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_is_that_of_every_process() {
    let Some(server) = shared().await else { return };
    let options = options_on(server, &new_schema());
    let (first, second) = tokio::join!(open(&options), open(&options));
    let commit = second.commit(put("a", 1)).await.unwrap();
    assert_eq!(first.demote().await.unwrap(), commit.version);
    assert_eq!(second.commit(put("b", 1)).await, Err(CommitError::Replica));
    assert_eq!(second.role().await.unwrap(), Role::Replica);
    // Each of a group is refused, and the connection is not given up for it.
    let (one, two) = tokio::join!(second.commit(put("c", 1)), second.commit(put("d", 1)));
    assert_eq!((one, two), (Err(CommitError::Replica), Err(CommitError::Replica)));

    let mut watch = second.watch("".into());
    let after = Version::from_u64(commit.version.as_u64() + (1 << 40));
    first.promote(after).await.unwrap();
    let told = tokio::time::timeout(PATIENCE, watch.changed())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(told, after, "who watches looks again");
    assert_eq!(
        first.copy(portion(vec![entry("z", 1)])).await,
        Err(CommitError::Primary)
    );
    assert_eq!(second.apply(&[]).await, Err(CommitError::Primary));
    assert_eq!(second.commit(put("b", 1)).await.unwrap().version, after.next());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_of_all_processes_are_kept() {
    let Some(server) = shared().await else { return };
    let options = options_on(server, &new_schema());
    let (first, second) = tokio::join!(open(&options), open(&options));
    let mut after = first.follow(&name()).await.unwrap();
    let mut versions = Vec::new();
    for round in 0..20 {
        let text = format!("{round}");
        let (one, two) = tokio::join!(first.commit(put(&text, 10)), second.commit(put(&text, 20)));
        versions.extend([one.unwrap().version, two.unwrap().version]);
    }
    versions.sort();
    let mut seen = Vec::new();
    loop {
        let changes = second.changes(&name(), after).await.unwrap();
        seen.extend(changes.commits.iter().map(|commit| commit.version));
        after = changes.up_to;
        if !changes.has_more {
            break;
        }
    }
    assert_eq!(seen, versions);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_never_shows_more_than_it_says() {
    let Some(server) = shared().await else { return };
    let store = open(&options_on(server, &new_schema())).await;
    assert_eq!(store.demote().await.unwrap(), Version::ZERO);
    let keys = [Key::new("a").unwrap(), Key::new("b").unwrap()];
    for (entries, at) in [
        (vec![entry("a", 7)], 7),
        (vec![entry("b", 5)], 7),
        (vec![entry("a", 9)], 9),
    ] {
        store.copy(portion(entries)).await.unwrap();
        assert_eq!(store.read(&keys).await.unwrap().at, Version::from_u64(at));
    }
    let commit = Committed {
        version: Version::from_u64(11),
        writes: vec![(keys[0].clone(), None)],
        token: None,
    };
    store.apply(&[commit]).await.unwrap();
    let read = store.read(&keys).await.unwrap();
    assert_eq!(read.at, Version::from_u64(11));
    assert!(matches!(&read.values[..], [None, Some(stored)] if stored.version == Version::from_u64(5)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_too_far_behind_is_dropped_and_what_was_kept_goes() {
    let Some(server) = shared().await else { return };
    let schema = new_schema();
    let mut options = options_on(server, &schema);
    options.max_feed_bytes = 100_000;
    let store = open(&options).await;
    let slow = FollowerName::new("slow").unwrap();
    let since = store.follow(&slow).await.unwrap();
    store.follow(&name()).await.unwrap();
    let client = server.connect().await;
    let count = format!("SELECT count(*) FROM {schema}.changes");
    for round in 0..30 {
        let commit = store.commit(put(&format!("{round}"), 10_000)).await.unwrap();
        store.confirm(&name(), commit.version).await.unwrap();
        let kept: Vec<_> = store.followers().await.unwrap();
        assert!(
            kept.iter().all(|following| following.kept_bytes <= 110_000),
            "{kept:?}"
        );
    }
    assert_eq!(
        store.changes(&slow, since).await,
        Err(FollowError::Lost(slow.clone()))
    );
    assert_eq!(
        store.confirm(&slow, since).await,
        Err(FollowError::Lost(slow.clone()))
    );
    assert_eq!(store.follow(&slow).await, Err(FollowError::Lost(slow.clone())));
    let left: i64 = client.query_one(&count, &[]).await.unwrap().get(0);
    assert_eq!(left, 1, "the last one stays, where the feed goes on");
    // To begin again, it is forgotten first.
    store.unfollow(&slow).await.unwrap();
    let since = store.follow(&slow).await.unwrap();
    assert_eq!(store.changes(&slow, since).await.unwrap().commits, []);
    assert!(!store.changes(&slow, since).await.unwrap().has_more);
}

/// What a page costs must not grow with the square of its changes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_of_many_small_changes_is_read_in_time() {
    let Some(server) = shared().await else { return };
    let store = open(&options_on(server, &new_schema())).await;
    let since = store.follow(&name()).await.unwrap();
    for round in 0..8 {
        let mut batch = Batch::new();
        for number in 0..5_000 {
            batch.put(Key::new(format!("{round}/{number}")).unwrap(), Value::default());
        }
        store.commit(batch).await.unwrap();
    }
    let changes = store.changes(&name(), since).await.unwrap();
    assert_eq!((changes.commits.len(), changes.has_more), (8, false));
    assert!(changes.commits.iter().all(|commit| commit.writes.len() == 5_000));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_kept_when_nobody_follows() {
    let Some(server) = shared().await else { return };
    let schema = new_schema();
    let store = open(&options_on(server, &schema)).await;
    store.commit(put("a", 1)).await.unwrap();
    store.follow(&name()).await.unwrap();
    store.unfollow(&name()).await.unwrap();
    store.commit(put("b", 1)).await.unwrap();
    let count = format!("SELECT count(*) FROM {schema}.changes");
    let kept: i64 = server
        .connect()
        .await
        .query_one(&count, &[])
        .await
        .unwrap()
        .get(0);
    assert_eq!(kept, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_that_is_copied_further() {
    let Some(server) = shared().await else { return };
    let store = open(&options_on(server, &new_schema())).await;
    store.demote().await.unwrap();
    let (early, late) = (FollowerName::new("early").unwrap(), name());
    store.follow(&early).await.unwrap();
    store.copy(portion(vec![entry("a", 5)])).await.unwrap();
    let since = store.follow(&late).await.unwrap();
    let commit = |version, token: Option<&'static str>| Committed {
        version: Version::from_u64(version),
        writes: vec![
            (Key::new("a").unwrap(), None),
            (Key::new("b").unwrap(), Some(Value::new("value").unwrap())),
        ],
        token: token.map(|token| mainstay_store::Token::new(token).unwrap()),
    };
    let commits = [commit(7, Some("seven")), commit(9, None)];
    store.apply(&commits).await.unwrap();
    store.apply(&commits).await.unwrap();
    assert_eq!(
        store.changes(&early, Version::ZERO).await.unwrap().commits,
        commits
    );
    assert_eq!(store.changes(&late, since).await.unwrap().commits, commits);
    // Done before, so it comes to nothing.
    store.apply(&[commit(7, None)]).await.unwrap();
    let changes = store.changes(&late, since).await.unwrap();
    assert_eq!(
        (changes.commits, changes.up_to),
        (commits.to_vec(), Version::from_u64(9))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changed_bytes_in_the_feed_are_noticed() {
    let Some(server) = shared().await else { return };
    let schema = new_schema();
    let store = open(&options_on(server, &schema)).await;
    let since = store.follow(&name()).await.unwrap();
    store.commit(put("a", 5)).await.unwrap();
    let client = server.connect().await;
    let change = format!("UPDATE {schema}.changes SET value = 'yyyyy'");
    assert_eq!(client.execute(&change, &[]).await.unwrap(), 1);
    let changes = store.changes(&name(), since).await;
    assert!(
        matches!(changes, Err(FollowError::Read(ReadError::Damaged(_)))),
        "{changes:?}"
    );
}

/// A copy that nobody waits for any more does not come after what is done later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_given_up_does_not_come_later() {
    let Some(server) = shared().await else { return };
    let schema = new_schema();
    let store = open(&options_on(server, &schema)).await;
    store.demote().await.unwrap();
    let mut client = server.connect().await;
    let transaction = client.transaction().await.unwrap();
    let lock = format!("SELECT pg_advisory_xact_lock(hashtextextended('mainstay store {schema}', 0))");
    transaction.batch_execute(&lock).await.unwrap();
    // It waits for its turn in the server when it is given up.
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND query LIKE '%' || $1 || '.copy%'";
    let given_up = tokio::spawn({
        let store = store.clone();
        async move { store.copy(portion(vec![entry("a", 5)])).await }
    });
    let observer = server.connect().await;
    let until_it_waits = async {
        while observer
            .query_one(waiting, &[&schema])
            .await
            .unwrap()
            .get::<_, i64>(0)
            == 0
        {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, until_it_waits).await.unwrap();
    given_up.abort();
    assert!(given_up.await.unwrap_err().is_cancelled());
    transaction.rollback().await.unwrap();
    let gone = Committed {
        version: Version::from_u64(6),
        writes: vec![(Key::new("a").unwrap(), None)],
        token: None,
    };
    store.apply(&[gone]).await.unwrap();
    // Everything that the older connection sent is decided.
    let read = store.read(&[Key::new("a").unwrap()]).await.unwrap();
    assert_eq!(read.values, [None]);
}
