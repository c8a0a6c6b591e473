//! The connection that all commands share: made when it is first needed, and anew when it broke.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, PushInfo, PushKind, Value};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::error::{RedisError, is_starting};
use crate::options::Options;

/// Makes the connection and keeps it.
pub(crate) struct Keeper {
    client: Client,
    options: Options,
    server: String,
    slot: Mutex<Slot>,
    is_durable: AtomicBool,
}

#[derive(Default)]
struct Slot {
    connection: Option<Connection>,
    /// When the latest attempt to connect failed, and why: an answer to all who waited for it.
    failure: Option<(Instant, RedisError)>,
}

#[derive(Clone)]
struct Connection {
    multiplexed: MultiplexedConnection,
    /// The server is gone, or does not answer.
    is_broken: Arc<AtomicBool>,
}

impl Keeper {
    /// Does not connect yet.
    pub(crate) fn new(client: Client, options: Options) -> Self {
        Self {
            client,
            server: format!("{}:{}", options.host, options.port),
            options,
            slot: Mutex::default(),
            is_durable: AtomicBool::new(false),
        }
    }

    pub(crate) const fn options(&self) -> &Options {
        &self.options
    }

    pub(crate) const fn client(&self) -> &Client {
        &self.client
    }

    /// Whether the server is known to write to its disk before it answers.
    pub(crate) fn is_durable(&self) -> bool {
        self.is_durable.load(Ordering::Relaxed)
    }

    /// Sends a command and waits for the answer.
    pub(crate) async fn send(&self, command: &Cmd) -> Result<Value, RedisError> {
        let mut connection = self.connection().await?;
        let answer = command.query_async::<Value>(&mut connection.multiplexed).await;
        answer.map_err(|error| {
            if RedisError::ends_connection(&error) {
                connection.is_broken.store(true, Ordering::Relaxed);
            }
            if error.is_timeout() {
                let ms = self.options.response_timeout.as_millis();
                let server = &self.server;
                return RedisError::UnknownOutcome(format!("{server}: no answer for {ms} ms").into());
            }
            self.told(&error)
        })
    }

    /// Connects, unless there is a connection.
    pub(crate) async fn reach(&self) -> Result<(), RedisError> {
        self.connection().await.map(drop)
    }

    /// What an error means; says which server it is about.
    pub(crate) fn told(&self, error: &redis::RedisError) -> RedisError {
        RedisError::of(&self.server, error)
    }

    async fn connection(&self) -> Result<Connection, RedisError> {
        let arrived = Instant::now();
        let connecting = async {
            let mut slot = self.slot.lock().await;
            let working = |connection: &&Connection| !connection.is_broken.load(Ordering::Relaxed);
            if let Some(connection) = slot.connection.as_ref().filter(working) {
                return Ok(connection.clone());
            }
            slot.connection = None;
            if let Some((at, error)) = &slot.failure
                && *at >= arrived
            {
                return Err(error.clone());
            }
            match self.connect_with_retries().await {
                Ok(connection) => {
                    slot.connection = Some(connection.clone());
                    Ok(connection)
                }
                Err(error) => {
                    let error = self.told(&error).unsent();
                    slot.failure = Some((Instant::now(), error.clone()));
                    Err(error)
                }
            }
        };
        let limit = self.options.dial_timeout;
        timeout(limit, connecting).await.unwrap_or_else(|_| {
            let ms = limit.as_millis();
            let reason = format!("{}: no connection within {ms} ms", self.server);
            Err(RedisError::Unavailable(reason.into()))
        })
    }

    async fn connect_with_retries(&self) -> Result<Connection, redis::RedisError> {
        let mut interval = self.options.min_retry_interval;
        for _ in 0..self.options.max_retries {
            match self.connect_once().await {
                // What else the server says does not change so soon.
                Err(error) if error.is_io_error() || is_starting(&error) => {}
                done => return done,
            }
            tokio::time::sleep(interval).await;
            interval = (interval * 2).min(self.options.max_retry_interval);
        }
        self.connect_once().await
    }

    async fn connect_once(&self) -> Result<Connection, redis::RedisError> {
        let is_broken = Arc::new(AtomicBool::new(false));
        let flag = is_broken.clone();
        let watcher = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                flag.store(true, Ordering::Relaxed);
            }
            Ok::<(), ()>(())
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.options.dial_timeout))
            .set_response_timeout(Some(self.options.response_timeout))
            .set_push_sender(watcher);
        let connecting = self.client.get_multiplexed_async_connection_with_config(&config);
        let mut multiplexed = connecting.await?;
        // A server that still reads its files refuses this, and takes connections all the same.
        match redis::cmd("PING").exec_async(&mut multiplexed).await {
            Err(error) if error.is_io_error() || is_starting(&error) => return Err(error),
            // Who may not ask may still be served.
            _ => {}
        }
        // Many servers of others do not tell.
        let settings = redis::cmd("CONFIG")
            .arg(&["GET", "append*"])
            .query_async::<HashMap<String, String>>(&mut multiplexed)
            .await;
        let is_durable = settings.is_ok_and(|settings| {
            let says = |name: &str, value: &str| settings.get(name).is_some_and(|said| said == value);
            says("appendonly", "yes") && says("appendfsync", "always")
        });
        self.is_durable.store(is_durable, Ordering::Relaxed);
        Ok(Connection {
            multiplexed,
            is_broken,
        })
    }
}

/// Without the password.
impl fmt::Debug for Keeper {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.options.fmt(formatter)
    }
}
