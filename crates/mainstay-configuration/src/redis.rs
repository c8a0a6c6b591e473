//! `configuration.redis`: settings in Redis, in Dapr's form.
//!
//! A setting is a key whose value is `value||version`; without `||` there is no version. Redis tells of changes by keyspace
//! notifications, which it has to be told to send.

use std::time::Duration;

use mainstay_redis::redis::cmd;
use mainstay_redis::{Messages, Redis, RedisError, Topics};
use mainstay_store::Reply;

use crate::error::ConfigurationError;
use crate::limits::{MAX_ITEMS, MAX_KEYS};
use crate::listener::{Listener, Touched, reconnect};
use crate::port::{ConfigurationStore, Item, Items, Metadata, check_keys};
use crate::subscription::Subscription;

/// Between a value and its version.
const SEPARATOR: &str = "||";

/// How often to look without having been told: in case somebody has changed that setting, or it may not be changed.
const RECONCILIATION: Duration = Duration::from_secs(60);

/// The component. Every key of the database that holds text is a setting.
#[derive(Clone, Debug)]
pub struct OnRedis {
    redis: Redis,
}

impl OnRedis {
    /// The settings in this Redis.
    pub const fn new(redis: Redis) -> Self {
        Self { redis }
    }

    async fn read(&self, keys: &[String]) -> Result<Items, ConfigurationError> {
        check_keys(keys)?;
        if !keys.is_empty() {
            return self.read_some(keys).await;
        }
        let mut items = Items::new();
        for keys in self.all_keys().await?.chunks(MAX_KEYS) {
            items.extend(self.read_some(keys).await?);
        }
        Ok(items)
    }

    /// Keys that hold something else than text are as good as absent.
    async fn read_some(&self, keys: &[String]) -> Result<Items, ConfigurationError> {
        let values: Vec<Option<Vec<u8>>> = self.redis.run(cmd("MGET").arg(keys)).await?;
        let items = keys.iter().zip(values).filter_map(|(key, value)| {
            let value = String::from_utf8(value?).ok()?;
            Some((key.clone(), item(&value)))
        });
        Ok(items.collect())
    }

    async fn all_keys(&self) -> Result<Vec<String>, ConfigurationError> {
        let mut keys = Vec::new();
        let mut cursor = 0_u64;
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(cursor).arg("COUNT").arg(MAX_KEYS);
            let (next, page): (u64, Vec<Vec<u8>>) = self.redis.run(&scan).await?;
            keys.extend(page.into_iter().filter_map(|key| String::from_utf8(key).ok()));
            if keys.len() > MAX_ITEMS {
                // A scan may give a key twice.
                keys.sort_unstable();
                keys.dedup();
                if keys.len() > MAX_ITEMS {
                    return Err(ConfigurationError::TooManyItems);
                }
            }
            if next == 0 {
                return Ok(keys);
            }
            cursor = next;
        }
    }

    async fn follow(&self, keys: Vec<String>) -> Result<Subscription, ConfigurationError> {
        check_keys(&keys)?;
        let channels = Channels::new(&self.redis, &keys);
        let messages = channels.listen(&self.redis).await?;
        let redis = self.redis.clone();
        let listener = Listener::start(|pending| async move {
            let mut messages = messages;
            loop {
                let heard = tokio::time::timeout(RECONCILIATION, messages.next_channel()).await;
                pending.add(match heard {
                    Ok(Some(channel)) => channels.touched(&channel),
                    Ok(None) => {
                        messages = reconnect("Redis", || channels.listen(&redis)).await;
                        Touched::Anything
                    }
                    Err(_) => Touched::Anything,
                });
            }
        });
        Subscription::new(self.clone(), listener, keys).await
    }
}

impl ConfigurationStore for OnRedis {
    fn get<'a>(&'a self, keys: &'a [String]) -> Reply<'a, Result<Items, ConfigurationError>> {
        Reply::waiting(self.read(keys))
    }

    fn subscribe<'a>(
        &'a self,
        keys: Vec<String>,
        _: &'a Metadata,
    ) -> Reply<'a, Result<Subscription, ConfigurationError>> {
        Reply::waiting(self.follow(keys))
    }
}

/// Where Redis tells of some keys, or of all.
#[derive(Debug)]
struct Channels {
    prefix: String,
    /// All when it is empty.
    channels: Vec<String>,
}

impl Channels {
    fn new(redis: &Redis, keys: &[String]) -> Self {
        let prefix = redis.channel_of_key("");
        let channels = keys.iter().map(|key| format!("{prefix}{key}")).collect();
        Self { prefix, channels }
    }

    async fn listen(&self, redis: &Redis) -> Result<Messages, RedisError> {
        match redis.tell_of_keys().await {
            Err(RedisError::Refused(reason)) => {
                let seconds = RECONCILIATION.as_secs();
                tracing::warn!("{reason}: changes of configuration are noticed every {seconds} s");
            }
            told => told?,
        }
        let all = format!("{}*", self.prefix);
        let topics = match self.channels.as_slice() {
            [] => Topics::Pattern(&all),
            channels => Topics::Channels(channels),
        };
        redis.subscribe(topics).await
    }

    fn touched(&self, channel: &str) -> Touched {
        channel
            .strip_prefix(&self.prefix)
            .map_or(Touched::Anything, Touched::key)
    }
}

/// As Dapr reads it: what follows a second separator is ignored.
fn item(text: &str) -> Item {
    let mut parts = text.split(SEPARATOR);
    let mut next = || parts.next().unwrap_or_default().to_owned();
    Item {
        value: next(),
        version: next(),
        metadata: Metadata::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_dapr_does() {
        for (text, value, version) in [
            ("v", "v", ""),
            ("v||1", "v", "1"),
            ("||1", "", "1"),
            ("a||b||c", "a", "b"),
            ("", "", ""),
        ] {
            let item = item(text);
            assert_eq!(
                (item.value.as_str(), item.version.as_str()),
                (value, version),
                "{text}"
            );
        }
    }
}
