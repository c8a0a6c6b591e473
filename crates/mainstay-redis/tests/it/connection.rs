//! Logging in, errors, and what happens when the server goes.

use std::time::Duration;

use mainstay_redis::redis::cmd;
use mainstay_redis::test_server::{TestServer, available, free_port};
use mainstay_redis::{Options, Redis, RedisError, Topics};
use zeroize::Zeroizing;

async fn get(redis: &Redis, key: &str) -> Result<Option<String>, RedisError> {
    redis.run(cmd("GET").arg(key)).await
}

async fn set(redis: &Redis, key: &str, value: &str) -> Result<(), RedisError> {
    redis.run(cmd("SET").arg(key).arg(value)).await
}

#[tokio::test]
async fn commands_are_answered() {
    if !available() {
        return;
    }
    let server = TestServer::start().await;
    let redis = server.connect().await;
    set(&redis, "a", "1").await.unwrap();
    assert_eq!(get(&redis, "a").await.unwrap().as_deref(), Some("1"));
    assert_eq!(get(&redis, "b").await.unwrap(), None);
    let wrong = redis
        .run::<i64>(cmd("LPUSH").arg("a").arg("x"))
        .await
        .unwrap_err();
    assert!(
        matches!(&wrong, RedisError::Refused(reason) if reason.contains("WRONGTYPE")),
        "{wrong}"
    );
}

#[tokio::test]
async fn databases_are_apart() {
    if !available() {
        return;
    }
    let server = TestServer::start().await;
    set(&server.connect().await, "a", "1").await.unwrap();
    let mut options = server.options();
    options.database = 3;
    let other = Redis::connect(options).await.unwrap();
    assert_eq!(get(&other, "a").await.unwrap(), None);
}

#[tokio::test]
async fn a_password_is_asked_for_and_not_shown() {
    if !available() {
        return;
    }
    let server = TestServer::start_with(&["--requirepass", "hunter2"]).await;
    let refused = Redis::connect(server.options()).await.unwrap_err();
    assert!(matches!(refused, RedisError::Refused(_)), "{refused}");
    let mut options = server.options();
    options.password = Some(Zeroizing::new("hunter3".to_owned()));
    let refused = Redis::connect(options.clone()).await.unwrap_err();
    assert!(
        matches!(&refused, RedisError::Refused(reason) if !reason.contains("hunter")),
        "{refused}"
    );
    options.password = Some(Zeroizing::new("hunter2".to_owned()));
    let redis = Redis::connect(options).await.unwrap();
    assert!(!format!("{redis:?}").contains("hunter2"));
    set(&redis, "a", "1").await.unwrap();
}

#[tokio::test]
async fn a_server_without_room_says_so() {
    if !available() {
        return;
    }
    let server = TestServer::start_with(&["--maxmemory", "1kb"]).await;
    let full = set(&server.connect().await, "a", "1").await.unwrap_err();
    assert!(matches!(full, RedisError::Full(_)), "{full}");
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let mut options = Options::new("127.0.0.1", free_port());
    options.max_retries = 1;
    let error = Redis::connect(options).await.unwrap_err();
    assert!(matches!(error, RedisError::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn a_server_that_comes_back_is_used_again() {
    if !available() {
        return;
    }
    let mut server = TestServer::start().await;
    let redis = server.connect().await;
    set(&redis, "a", "1").await.unwrap();
    server.stop();
    assert!(get(&redis, "a").await.is_err());
    server.resume().await;
    let again = async {
        while get(&redis, "a").await != Ok(None) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), again)
        .await
        .unwrap();
}

#[tokio::test]
async fn what_is_published_is_heard() {
    if !available() {
        return;
    }
    let mut server = TestServer::start().await;
    let redis = server.connect().await;
    let channels = ["a".to_owned(), "b".to_owned()];
    let mut named = redis.subscribe(Topics::Channels(&channels)).await.unwrap();
    let mut matching = redis.subscribe(Topics::Pattern("a*")).await.unwrap();
    for channel in ["aa", "b"] {
        redis
            .run::<i64>(cmd("PUBLISH").arg(channel).arg("x"))
            .await
            .unwrap();
    }
    assert_eq!(named.next_channel().await.as_deref(), Some("b"));
    assert_eq!(matching.next_channel().await.as_deref(), Some("aa"));
    server.stop();
    assert_eq!(named.next_channel().await, None);
    assert!(redis.subscribe(Topics::Pattern("*")).await.is_err());
}

/// Nobody answers on this port, though somebody listens.
#[tokio::test]
async fn a_silent_server_is_given_up() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let mut options = Options::new("127.0.0.1", listener.local_addr().unwrap().port());
    options.dial_timeout = Duration::from_millis(50);
    options.response_timeout = Duration::from_millis(50);
    options.max_retries = 0;
    let connecting = Redis::connect(options);
    let error = tokio::time::timeout(Duration::from_secs(20), connecting)
        .await
        .unwrap()
        .unwrap_err();
    assert!(matches!(error, RedisError::Unavailable(_)), "{error}");
}
