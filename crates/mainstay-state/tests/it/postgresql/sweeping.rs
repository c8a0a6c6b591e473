//! What has expired is removed, by one process at a time.

use std::num::NonZeroU32;
use std::time::Duration;

use mainstay_postgres::test_server::TestServer;
use mainstay_state::stored::Swept;
use mainstay_state::{Set, StateStore, TimeToLive};

use super::{item, new_options, open, pass_seconds, shared};

fn lasting(key: &str, seconds: u32) -> Set {
    let mut set = Set::new(key, "1");
    set.time_to_live = NonZeroU32::new(seconds).map(TimeToLive::seconds);
    set
}

async fn rows(server: &TestServer, table: &str) -> i64 {
    let ask = format!("SELECT count(*) FROM {table}");
    server.connect().await.query_one(&ask, &[]).await.unwrap().get(0)
}

#[tokio::test]
async fn what_expired_is_removed_and_nothing_else() {
    let Some(server) = shared().await else { return };
    let options = new_options(server);
    let table = options.table.to_string();
    let (one, two) = (open(&options), open(&options));
    let many = (0..1_500).map(|number| lasting(&format!("gone {number}"), 1));
    one.bulk_set(many.collect()).await.unwrap();
    one.set(lasting("later", 1_000)).await.unwrap();
    one.set(Set::new("ever", "1")).await.unwrap();
    pass_seconds(server, &options.table, 2).await;

    let hour = Duration::from_secs(3_600);
    let all = Swept {
        values: 1_500,
        stale: 0,
    };
    assert_eq!(one.sweep(hour).await.unwrap(), all);
    assert_eq!(rows(server, &table).await, 2);
    assert!(item(&one, "later").await.is_some() && item(&one, "ever").await.is_some());

    // The other process has nothing to do within the hour, and then does.
    two.set(lasting("gone again", 1)).await.unwrap();
    pass_seconds(server, &options.table, 2).await;
    assert_eq!(two.sweep(hour).await.unwrap(), Swept::default());
    assert_eq!(two.sweep(Duration::ZERO).await.unwrap().values, 1);
}

#[tokio::test]
async fn the_sweeper_runs_until_it_is_stopped() {
    let Some(server) = shared().await else { return };
    let options = new_options(server);
    let table = options.table.to_string();
    let state = open(&options);
    state.set(lasting("k", 1)).await.unwrap();
    pass_seconds(server, &options.table, 2).await;
    let sweeper = state.start_sweeper(Duration::from_millis(5));
    let swept = async {
        while rows(server, &table).await > 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), swept)
        .await
        .unwrap();
    sweeper.stop().await;
}
