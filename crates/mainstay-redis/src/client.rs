//! A Redis, as components see it.

use std::fmt;
use std::sync::Arc;

use futures_util::StreamExt as _;
use redis::aio::PubSubStream;
use redis::{Arg, Cmd, FromRedisValue, Value, from_redis_value};
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::connection::Keeper;
use crate::error::RedisError;
use crate::options::Options;
use crate::server;

/// How many commands may be under way. More are refused at once, rather than kept in memory.
const MAX_COMMANDS: usize = 4_096;

/// What a command counts for one time; a larger one counts for more, so that all of them together have 64 MiB.
const BYTES_OF_COMMAND: usize = 16 * 1_024;

/// A Redis, 6 or newer. Clones share one connection, on which commands overtake nobody and wait for nobody. It is made when
/// it is first needed, and anew when it broke; a command that was sent on it is not sent again, unless it only reads.
#[derive(Clone)]
pub struct Redis {
    shared: Arc<Shared>,
}

struct Shared {
    keeper: Keeper,
    commands: Semaphore,
}

impl Redis {
    /// Does not connect yet.
    pub fn new(options: Options) -> Result<Self, RedisError> {
        let tls = options.tls.as_ref();
        let authorities = tls.and_then(|tls| tls.authorities.as_ref());
        if authorities.is_some_and(|pem| !pem.contains("-----BEGIN CERTIFICATE-----")) {
            let reason = "`caCert` holds no certificate in PEM";
            return Err(RedisError::Refused(reason.into()));
        }
        let client = server::client(&options).map_err(|error| RedisError::of(&options.host, &error))?;
        let shared = Shared {
            keeper: Keeper::new(client, options),
            commands: Semaphore::new(MAX_COMMANDS),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Connects and logs in. Cancel safe.
    pub async fn connect(options: Options) -> Result<Self, RedisError> {
        let redis = Self::new(options)?;
        redis.reach().await?;
        Ok(redis)
    }

    /// Connects, unless there is a connection, to learn whether it can. Cancel safe.
    pub async fn reach(&self) -> Result<(), RedisError> {
        self.shared.keeper.reach().await
    }

    /// Runs a command. Not cancel safe: it may be done or not.
    pub async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        let _permit = self.enter(command)?;
        let answer = self.shared.keeper.send(command).await?;
        self.read_answer(answer)
    }

    /// Runs a command that changes nothing, again where its answer was lost. Cancel safe.
    pub async fn read<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        let _permit = self.enter(command)?;
        let mut retries = self.options().max_retries;
        loop {
            match self.shared.keeper.send(command).await {
                Err(RedisError::UnknownOutcome(_)) if retries > 0 => retries -= 1,
                answer => return self.read_answer(answer?),
            }
        }
    }

    /// Hears what is published, on a connection of its own. What is published after this was answered is not missed, as long
    /// as the connection lasts. Cancel safe.
    pub async fn subscribe(&self, topics: Topics<'_>) -> Result<Messages, RedisError> {
        let keeper = &self.shared.keeper;
        let subscribing = async {
            let mut pubsub = keeper.client().get_async_pubsub().await?;
            match topics {
                Topics::Channels(channels) => pubsub.subscribe(channels).await?,
                Topics::Pattern(pattern) => pubsub.psubscribe(pattern).await?,
            }
            Ok(Messages(pubsub.into_on_message()))
        };
        let limit = self.options().dial_timeout + self.options().response_timeout;
        let subscribed = tokio::time::timeout(limit, subscribing).await;
        subscribed.map_or_else(
            |_| {
                Err(RedisError::Unavailable(
                    format!("no answer within {} ms", limit.as_millis()).into(),
                ))
            },
            |subscribed| subscribed.map_err(|error| keeper.told(&error).unsent()),
        )
    }

    /// Whether the server is known to write to its disk before it answers (`appendonly yes`, `appendfsync always`). Known
    /// when there was a connection.
    pub fn is_durable(&self) -> bool {
        self.shared.keeper.is_durable()
    }

    /// How it is reached.
    pub fn options(&self) -> &Options {
        self.shared.keeper.options()
    }

    fn enter(&self, command: &Cmd) -> Result<SemaphorePermit<'_>, RedisError> {
        let places = places(command).ok_or(RedisError::Busy)?;
        let permit = self.shared.commands.try_acquire_many(places);
        permit.map_err(|_| RedisError::Busy)
    }

    fn read_answer<T: FromRedisValue>(&self, answer: Value) -> Result<T, RedisError> {
        from_redis_value(answer).map_err(|error| self.shared.keeper.told(&error.into()))
    }
}

/// How many commands one counts for.
fn places(command: &Cmd) -> Option<u32> {
    let bytes = |arg: Arg<&[u8]>| match arg {
        Arg::Simple(bytes) => bytes.len(),
        _ => 0,
    };
    let bytes: usize = command.args_iter().map(bytes).sum();
    u32::try_from(1 + bytes / BYTES_OF_COMMAND).ok()
}

/// What to hear.
#[derive(Clone, Copy, Debug)]
pub enum Topics<'a> {
    /// These channels.
    Channels(&'a [String]),
    /// All channels whose names match this glob.
    Pattern(&'a str),
}

/// What was published. It waits in memory until it is taken, so somebody should take it all the time.
pub struct Messages(PubSubStream);

impl Messages {
    /// The channel of the next message, as far as it is text; `None` when the connection has ended. Cancel safe.
    pub async fn next_channel(&mut self) -> Option<String> {
        let message = self.0.next().await?;
        Some(message.get_channel_name().to_owned())
    }
}

/// What was published may be secret.
impl fmt::Debug for Messages {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Messages").finish_non_exhaustive()
    }
}

/// Without the password.
impl fmt::Debug for Redis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Redis").field(&self.shared.keeper).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_commands_count_for_more() {
        let command = |bytes: usize| redis::cmd("SET").arg(vec![0; bytes]).to_owned();
        assert_eq!(places(&command(0)), Some(1));
        assert_eq!(places(&command(BYTES_OF_COMMAND)), Some(2));
        assert_eq!(places(&command(8 * 1_024 * 1_024)), Some(513));
    }

    #[test]
    fn too_many_are_refused_at_once() {
        let redis = Redis::new(Options::new("localhost", 1)).unwrap();
        let large = redis::cmd("SET").arg(vec![0; 8 * 1_024 * 1_024]).to_owned();
        let mut permits = Vec::new();
        while let Ok(permit) = redis.enter(&large) {
            permits.push(permit);
        }
        assert_eq!(permits.len(), 7);
        assert_eq!(redis.enter(&large).unwrap_err(), RedisError::Busy);
        assert!(redis.enter(&redis::cmd("PING")).is_ok());
    }
}
