//! `lock.redis`: the conformance suite on a real Redis, beside Dapr's locks, and when Redis loses what it held.

use std::sync::Arc;

use mainstay_lock::conformance::Subject;
use mainstay_lock::{Expiry, LockError, LockStore, OnRedis, Renewal, TryLock, Unlock, conformance_suite};
use mainstay_redis::redis::cmd;
use mainstay_redis::test_server::{TestServer, available};
use mainstay_redis::{Redis, RedisError};

struct OnServer {
    redis: Redis,
    locks: OnRedis,
    server: TestServer,
}

impl OnServer {
    async fn expiry_ms(&self, key: &str) -> i64 {
        self.redis.run(cmd("PTTL").arg(key)).await.unwrap()
    }
}

/// Lets time pass for all keys.
const PASS: &str = "
    for _, key in ipairs(redis.call('KEYS', '*')) do
        local left = redis.call('PTTL', key)
        if left >= 0 then redis.call('PEXPIRE', key, left - ARGV[1]) end
    end";

impl Subject for OnServer {
    fn available() -> bool {
        available()
    }

    async fn open() -> Self {
        let server = TestServer::start().await;
        let redis = server.connect().await;
        let locks = OnRedis::new(redis.clone());
        Self { redis, locks, server }
    }

    fn locks(&self) -> Arc<dyn LockStore> {
        Arc::new(self.locks.clone())
    }

    async fn pass_seconds(&self, seconds: u32) {
        let mut pass = cmd("EVAL");
        pass.arg(PASS).arg(0).arg(seconds * 1_000);
        self.redis.run::<()>(&pass).await.unwrap();
    }
}

conformance_suite!(OnServer);

fn request(resource: &str) -> TryLock {
    TryLock {
        resource: resource.to_owned(),
        owner: "me".to_owned(),
        expiry: Expiry::from_seconds(60).unwrap(),
    }
}

#[tokio::test]
async fn locks_of_dapr_are_respected() {
    if !available() {
        return;
    }
    let subject = OnServer::open().await;
    // What Dapr does to take one.
    let mut dapr = cmd("SET");
    dapr.arg("lock||app||r").arg("other").arg("NX").arg("EX").arg(60);
    subject.redis.run::<()>(&dapr).await.unwrap();
    assert_eq!(subject.locks.try_lock(&request("lock||app||r")).await, Ok(None));
    assert_eq!(
        subject.locks.unlock("lock||app||r", "me").await,
        Ok(Unlock::BelongsToOthers)
    );
    assert_eq!(
        subject.locks.unlock("lock||app||r", "other").await,
        Ok(Unlock::Unlocked)
    );

    subject
        .locks
        .try_lock(&request("lock||app||r"))
        .await
        .unwrap()
        .unwrap();
    let held: String = subject.redis.run(cmd("GET").arg("lock||app||r")).await.unwrap();
    assert_eq!(held, "me");
    assert!((1..=60_000).contains(&subject.expiry_ms("lock||app||r").await));
    let renewed = subject
        .locks
        .renew("lock||app||r", "me", Expiry::from_seconds(600).unwrap());
    assert_eq!(renewed.await, Ok(Renewal::Renewed));
    assert!(subject.expiry_ms("lock||app||r").await > 60_000);
}

#[tokio::test]
async fn tokens_grow_though_redis_forgets() {
    if !available() {
        return;
    }
    let mut subject = OnServer::open().await;
    let before = subject.locks.try_lock(&request("r")).await.unwrap();
    subject.server.stop();
    let gone = subject.locks.try_lock(&request("r")).await.unwrap_err();
    assert!(
        matches!(
            gone,
            LockError::Redis(RedisError::Unavailable(_) | RedisError::UnknownOutcome(_))
        ),
        "{gone}"
    );
    subject.server.resume().await;
    let locks = OnRedis::new(subject.server.connect().await);
    let after = locks.try_lock(&request("r")).await.unwrap();
    assert!(after > before, "{after:?} after {before:?}");
}

#[tokio::test]
async fn what_is_no_lock_is_left_alone() {
    if !available() {
        return;
    }
    let subject = OnServer::open().await;
    subject
        .redis
        .run::<i64>(cmd("LPUSH").arg("r").arg("x"))
        .await
        .unwrap();
    assert_eq!(subject.locks.try_lock(&request("r")).await, Ok(None));
    let refused = subject.locks.unlock("r", "me").await.unwrap_err();
    assert!(
        matches!(refused, LockError::Redis(RedisError::Refused(_))),
        "{refused}"
    );
}
