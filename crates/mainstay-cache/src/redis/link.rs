//! One connection to the server: what is asked over it, with a limit to every wait.

use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, FromRedisValue, Pipeline, RedisError, pipe};
use tokio::time::timeout;

use super::{Names, bucket};
use crate::error::StoreError;
use crate::port::Selection;

/// Keys that one step of a search looks at.
const KEYS_PER_STEP: usize = 1_000;

/// How long the numbers of a cache that nobody invalidates any more are kept. Longer than any entry.
const NUMBERS_KEPT_S: u64 = 90 * 24 * 3_600;

/// A connection that requests of many tasks share.
pub(super) struct Link {
    connection: MultiplexedConnection,
    timeout: Duration,
}

/// Why a request failed.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) error: StoreError,
    /// The connection is of no use any more.
    pub(super) broken: bool,
}

impl Link {
    /// Connects, and waits until the server has answered.
    pub(super) async fn open(
        client: &Client,
        connect_timeout: Duration,
        operation_timeout: Duration,
    ) -> Result<Self, StoreError> {
        // Timeouts are all in one place, below.
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(None)
            .set_response_timeout(None);
        let connecting = async {
            let mut connection = client
                .get_multiplexed_async_connection_with_config(&config)
                .await?;
            redis::cmd("PING").query_async::<String>(&mut connection).await?;
            Ok::<_, RedisError>(connection)
        };
        let connection = timeout(connect_timeout, connecting)
            .await
            .map_err(|_| StoreError::Timeout(connect_timeout))?
            .map_err(|error| StoreError::Server(error.to_string()))?;
        Ok(Self {
            connection,
            timeout: operation_timeout,
        })
    }

    /// Asks. Cancel safe, but what was sent is done.
    pub(super) async fn query<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, Failure> {
        let mut connection = self.connection.clone();
        match timeout(self.timeout, pipeline.query_async(&mut connection)).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(Failure {
                broken: error.is_unrecoverable_error() || error.is_io_error(),
                error: StoreError::Server(error.to_string()),
            }),
            // A server that is this slow is of no use to a cache.
            Err(_) => Err(Failure {
                error: StoreError::Timeout(self.timeout),
                broken: true,
            }),
        }
    }

    /// Forgets: first changes the number that covers what is selected, so that nothing older is stored any more, and then
    /// removes what is there.
    pub(super) async fn invalidate(&self, names: &Names, selection: &Selection) -> Result<(), Failure> {
        let mut pipeline = pipe();
        pipeline.atomic();
        let field = match selection {
            Selection::Key(key) => bucket(key),
            Selection::Prefix(_) => "prefix".to_owned(),
            Selection::All => "all".to_owned(),
        };
        let number = fastrand::u64(1..);
        pipeline.cmd("HSET").arg(&names.numbers).arg(field).arg(number);
        pipeline.cmd("EXPIRE").arg(&names.numbers).arg(NUMBERS_KEPT_S);
        if let Selection::Key(key) = selection {
            pipeline.cmd("UNLINK").arg(names.entry(key));
        }
        self.query::<redis::Value>(&pipeline).await?;
        match selection {
            Selection::Prefix(prefix) => self.remove_prefix(&names.entry(prefix)).await,
            Selection::Key(_) | Selection::All => Ok(()),
        }
    }

    /// Searches step by step: the server answers others in between.
    async fn remove_prefix(&self, prefix: &str) -> Result<(), Failure> {
        let pattern = format!("{}*", escaped(prefix));
        let mut cursor = 0_u64;
        loop {
            let mut step = pipe();
            let scan = step.cmd("SCAN").arg(cursor).arg("MATCH").arg(&pattern);
            scan.arg("COUNT").arg(KEYS_PER_STEP);
            let ((next, keys),): ((u64, Vec<Vec<u8>>),) = self.query(&step).await?;
            if !keys.is_empty() {
                let mut removal = pipe();
                removal.cmd("UNLINK").arg(keys);
                self.query::<redis::Value>(&removal).await?;
            }
            if next == 0 {
                return Ok(());
            }
            cursor = next;
        }
    }
}

/// Text of which no character means anything in a pattern.
fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '^' | '-' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}
