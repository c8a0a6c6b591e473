//! `state.redis`: state on a Redis server (6 or newer), laid out as Dapr's component does, so that both can share it.
//!
//! ```text
//!   get      ──> read.lua    one call: hashes and what is left of their lives, at one moment
//!   transact ──> write.lua   one call: all requirements are checked before anything is written
//!   list     ──> SCAN, and list.lua for the keys that a page needs
//!   watch    <── keyspace notifications, which the server is told to send
//!
//!   key  hash { data, version: the ETag, content-type: not in Dapr }, expires with EXPIRE
//! ```
//!
//! The `ETag` is the server's time in microseconds, or one more than the latest one that was given: larger than any before,
//! for all keys, also after a key was deleted or the server lost its latest writes. Dapr's component adds one to it.
//!
//! Two things differ from Dapr's component: a set without a time to live ends an earlier one, and what a transaction requires
//! is checked for all of it before its first write.

mod list;
mod options;
mod script;
mod watch;

use std::fmt;
use std::sync::Arc;

use mainstay_redis::redis::{Cmd, Value};
use mainstay_redis::{Redis as Server, RedisError};
use mainstay_store::{CommitError, ReadError, Reply};

pub use self::options::{InvalidOptions, Options};
use self::script::{Script, Strange};
use crate::error::StateError;
use crate::limits::MAX_VALUE_BYTES;
use crate::listing::{ListPage, Listing};
use crate::port::{
    Consistency, Features, Item, Operation, Requirement, StateStore, check_bytes, check_keys,
    check_operations,
};
use crate::query::{Query, QueryPage};
use crate::ttl::TimeToLive;
use crate::watch::Watch;

/// The component. Clones are the same one.
///
/// It connects when it is first asked, and again when the connection broke. What was sent over a connection that then broke
/// may be done or not: [`CommitError::UnknownOutcome`]. Changes are never sent twice.
#[derive(Clone)]
pub struct Redis {
    shared: Arc<Shared>,
}

struct Shared {
    server: Server,
    read: Script,
    list: Script,
    write: Script,
    time_to_live: TimeToLive,
}

impl Redis {
    /// The component on this server. Does not connect yet.
    pub fn new(options: Options) -> Result<Self, RedisError> {
        let shared = Shared {
            server: Server::new(options.server)?,
            read: Script::read(),
            list: Script::list(),
            write: Script::write(),
            time_to_live: options.time_to_live,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Connects, to learn whether it can. [`StateStore::features`] knows more afterwards. Cancel safe.
    pub async fn connect(&self) -> Result<(), StateError> {
        self.shared
            .server
            .reach()
            .await
            .map_err(|error| read_error(&error))
    }

    async fn read(&self, keys: &[String]) -> Result<Vec<Option<Item>>, StateError> {
        check_keys(keys)?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let answer = self.read_answer(keys).await.map_err(|error| read_error(&error))?;
        script::items(answer, keys).unwrap_or_else(|strange| Err(strange.of_read()))
    }

    async fn read_answer(&self, keys: &[String]) -> Result<Value, RedisError> {
        let Shared { server, read, .. } = &*self.shared;
        let add = |command: &mut Cmd| script::add_keys(keys, command);
        match server.read(&read.command(true, add)).await {
            Err(RedisError::UnknownScript) => server.read(&read.command(false, add)).await,
            answer => answer,
        }
    }

    async fn write(&self, operations: &[Operation]) -> Result<(), StateError> {
        check_operations(operations, MAX_VALUE_BYTES)?;
        check_bytes(operations)?;
        if operations.is_empty() {
            return Ok(());
        }
        for operation in operations {
            if let Requirement::At(etag) = operation.requirement()
                && etag.number().is_none()
            {
                return Err(StateError::InvalidEtag(etag.to_string()));
            }
        }
        let answer = self.write_answer(operations).await.map_err(write_error)?;
        script::outcome(answer, operations)
            .unwrap_or_else(|Strange| Err(CommitError::UnknownOutcome(Strange.to_string().into()).into()))
    }

    async fn write_answer(&self, operations: &[Operation]) -> Result<Value, RedisError> {
        let Shared {
            server,
            write,
            time_to_live,
            ..
        } = &*self.shared;
        let add = |command: &mut Cmd| script::add_operations(operations, *time_to_live, command);
        match server.run(&write.command(true, add)).await {
            Err(RedisError::UnknownScript) => server.run(&write.command(false, add)).await,
            answer => answer,
        }
    }
}

impl StateStore for Redis {
    /// Durable when the server is known to run with `appendonly yes` and `appendfsync always`.
    fn features(&self) -> Features {
        Features {
            durable: self.shared.server.is_durable(),
            query: false,
            max_value_bytes: MAX_VALUE_BYTES,
        }
    }

    fn get<'a>(
        &'a self,
        keys: &'a [String],
        _: Consistency,
    ) -> Reply<'a, Result<Vec<Option<Item>>, StateError>> {
        Reply::waiting(self.read(keys))
    }

    fn query<'a>(&'a self, _: &'a Query, _: &'a str) -> Reply<'a, Result<QueryPage, StateError>> {
        Reply::ready(Err(StateError::QueryUnsupported))
    }

    fn list<'a>(&'a self, listing: &'a Listing) -> Reply<'a, Result<ListPage, StateError>> {
        Reply::waiting(self.list_page(listing))
    }

    fn watch<'a>(&'a self, prefix: &'a str) -> Reply<'a, Result<Watch, StateError>> {
        Reply::waiting(watch::watch(&self.shared.server, prefix))
    }

    fn transact(&self, operations: Vec<Operation>) -> Reply<'_, Result<(), StateError>> {
        Reply::waiting(async move { self.write(&operations).await })
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Redis")
            .field("server", &self.shared.server)
            .finish_non_exhaustive()
    }
}

fn read_error(error: &RedisError) -> StateError {
    ReadError::Unavailable(error.to_string().into()).into()
}

fn write_error(error: RedisError) -> StateError {
    let error = match error {
        RedisError::Busy => CommitError::Overloaded,
        RedisError::UnknownOutcome(reason) => CommitError::UnknownOutcome(reason),
        RedisError::Full(reason) => CommitError::Full(reason),
        other => CommitError::Unavailable(other.to_string().into()),
    };
    error.into()
}

impl Strange {
    /// What a reader is told.
    fn of_read(self) -> StateError {
        ReadError::Unavailable(self.to_string().into()).into()
    }
}

impl fmt::Display for Strange {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Redis gave an answer that is none of ours")
    }
}
