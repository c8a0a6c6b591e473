//! `lock.redis`: locks on Redis, which exclude those that Dapr holds there.

use mainstay_redis::redis::{Cmd, cmd};
use mainstay_redis::{Redis, RedisError};
use mainstay_store::Reply;

use crate::error::LockError;
use crate::expiry::Expiry;
use crate::port::{FencingToken, LockStore, Renewal, TryLock, Unlock, check};

/// Where the last token is kept, for all locks of a database: one key that stays, instead of one for each lock.
const LAST_TOKEN: &str = "mainstay||lock||fencing-token";

/// Gives the token, or nothing. A token is the last one plus one, or the time in microseconds if that is later: so tokens
/// grow even when Redis has lost what it held. Up to the year 2255 a number of Lua is exact.
const TRY_LOCK: &str = "
    if redis.call('EXISTS', KEYS[1]) == 1 then return false end
    local time = redis.call('TIME')
    local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
    local token = math.max(tonumber(redis.call('GET', KEYS[2]) or '0') + 1, now)
    redis.call('SET', KEYS[2], string.format('%.0f', token))
    redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
    return token";

const UNLOCK: &str = "
    local owner = redis.call('GET', KEYS[1])
    if not owner then return -1 end
    if owner ~= ARGV[1] then return -2 end
    return redis.call('DEL', KEYS[1])";

const RENEW: &str = "
    local owner = redis.call('GET', KEYS[1])
    if not owner then return -1 end
    if owner ~= ARGV[1] then return -2 end
    return redis.call('PEXPIRE', KEYS[1], ARGV[2])";

/// The component.
///
/// A lock is a key with the resource's name that holds its owner's name and expires, as Dapr's is. Redis measures the expiry
/// by its own clock. A replica that takes over may not know a lock yet that was granted just before: the next holder then has
/// a greater token, but for a while there are two. Redis must be 6 or newer, and must not throw keys out to make room.
#[derive(Clone, Debug)]
pub struct OnRedis {
    redis: Redis,
}

impl OnRedis {
    /// The locks on this Redis.
    pub const fn new(redis: Redis) -> Self {
        Self { redis }
    }

    async fn take(&self, request: &TryLock) -> Result<Option<FencingToken>, LockError> {
        check(&request.resource, &request.owner)?;
        let mut script = script(TRY_LOCK, &[&request.resource, LAST_TOKEN]);
        script.arg(&request.owner).arg(request.expiry.as_millis());
        let token: Option<u64> = self.redis.run(&script).await?;
        Ok(token.map(FencingToken::from_u64))
    }

    async fn give_back(&self, resource: &str, owner: &str) -> Result<Unlock, LockError> {
        check(resource, owner)?;
        let mut script = script(UNLOCK, &[resource]);
        script.arg(owner);
        match self.redis.run::<i64>(&script).await? {
            -1 => Ok(Unlock::DoesNotExist),
            -2 => Ok(Unlock::BelongsToOthers),
            1 => Ok(Unlock::Unlocked),
            other => Err(unexpected(other)),
        }
    }

    async fn prolong(&self, resource: &str, owner: &str, expiry: Expiry) -> Result<Renewal, LockError> {
        check(resource, owner)?;
        let mut script = script(RENEW, &[resource]);
        script.arg(owner).arg(expiry.as_millis());
        match self.redis.run::<i64>(&script).await? {
            -1 => Ok(Renewal::DoesNotExist),
            -2 => Ok(Renewal::BelongsToOthers),
            1 => Ok(Renewal::Renewed),
            other => Err(unexpected(other)),
        }
    }
}

impl LockStore for OnRedis {
    fn try_lock<'a>(&'a self, request: &'a TryLock) -> Reply<'a, Result<Option<FencingToken>, LockError>> {
        Reply::waiting(self.take(request))
    }

    fn unlock<'a>(&'a self, resource: &'a str, owner: &'a str) -> Reply<'a, Result<Unlock, LockError>> {
        Reply::waiting(self.give_back(resource, owner))
    }

    fn renew<'a>(
        &'a self,
        resource: &'a str,
        owner: &'a str,
        expiry: Expiry,
    ) -> Reply<'a, Result<Renewal, LockError>> {
        Reply::waiting(self.prolong(resource, owner, expiry))
    }
}

/// Redis keeps what it has compiled of a script, so sending it each time costs its few bytes.
fn script(text: &str, keys: &[&str]) -> Cmd {
    let mut command = cmd("EVAL");
    command.arg(text).arg(keys.len()).arg(keys);
    command
}

fn unexpected(answer: i64) -> LockError {
    RedisError::Refused(format!("it answered {answer} to a script").into()).into()
}
