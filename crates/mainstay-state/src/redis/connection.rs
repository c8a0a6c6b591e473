//! The connection to the server: one for all calls, made anew when it broke.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, Client, ClientTlsConfig, Cmd, ConnectionAddr, ErrorKind, IntoConnectionInfo,
    ProtocolVersion, PushInfo, PushKind, RedisConnectionInfo, RedisError, ServerErrorKind, TlsCertificates,
    Value,
};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::options::{Options, Tls};
use crate::calls::Calls;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// Too many calls are under way. Nothing was sent.
    Busy,
    /// There is no connection. Nothing was sent.
    Unsent(Arc<str>),
    /// It was sent, and there was no answer, so it may be done or not.
    Lost(Arc<str>),
    /// The server does not know the script. Nothing was done.
    UnknownScript,
    /// The server has no room. Nothing was done.
    Full(Arc<str>),
    /// The server refused it. Nothing was done.
    Refused(Arc<str>),
}

/// Makes the connection and keeps it.
pub(super) struct Link {
    client: Client,
    server: String,
    max_retries: u32,
    min_retry_interval: Duration,
    max_retry_interval: Duration,
    dial_timeout: Duration,
    read_timeout: Duration,
    slot: Mutex<Slot>,
    calls: Calls,
    is_durable: AtomicBool,
}

#[derive(Default)]
struct Slot {
    connection: Option<Connection>,
    /// When the latest attempt to connect failed, and why: an answer to all who waited for it.
    failure: Option<(Instant, Arc<str>)>,
}

#[derive(Clone)]
struct Connection {
    multiplexed: MultiplexedConnection,
    /// The server is gone, or does not answer.
    is_broken: Arc<AtomicBool>,
}

impl Link {
    pub(super) fn new(options: &Options) -> Result<Self, RedisError> {
        Ok(Self {
            client: client(options)?,
            server: format!("Redis at {}:{}", options.host, options.port),
            max_retries: options.max_retries,
            min_retry_interval: options.min_retry_interval,
            max_retry_interval: options.max_retry_interval,
            dial_timeout: options.dial_timeout,
            read_timeout: options.read_timeout,
            slot: Mutex::default(),
            calls: Calls::default(),
            is_durable: AtomicBool::new(false),
        })
    }

    /// Whether the server is known to write to its disk before it answers.
    pub(super) fn is_durable(&self) -> bool {
        self.is_durable.load(Ordering::Relaxed)
    }

    /// How often to try again what is harmless to repeat.
    pub(super) const fn max_retries(&self) -> u32 {
        self.max_retries
    }

    /// Sends one command of about so many bytes and waits for its answer. Cancel safe as far as the command is.
    pub(super) async fn call(&self, command: &Cmd, bytes: usize) -> Result<Value, Failure> {
        let Some(_permit) = self.calls.enter(bytes) else {
            return Err(Failure::Busy);
        };
        let mut connection = self.connection().await?;
        let answer = command.query_async::<Value>(&mut connection.multiplexed).await;
        answer.map_err(|error| self.failure(&connection, &error))
    }

    /// Connects, unless there is a connection.
    pub(super) async fn connect(&self) -> Result<(), Failure> {
        self.connection().await.map(|_| ())
    }

    fn failure(&self, connection: &Connection, error: &RedisError) -> Failure {
        let reason: Arc<str> = format!("{}: {error}", self.server).into();
        match error.kind() {
            ErrorKind::Server(ServerErrorKind::NoScript) => Failure::UnknownScript,
            // It leaves its own code out where a script runs into it, on some versions.
            ErrorKind::Server(_) | ErrorKind::Extension
                if error.code() == Some("OOM") || reason.contains("OOM command not allowed") =>
            {
                Failure::Full(reason)
            }
            ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown) => {
                // Another one may be the primary now; its name leads there.
                connection.is_broken.store(true, Ordering::Relaxed);
                Failure::Refused(reason)
            }
            ErrorKind::Server(_) | ErrorKind::Extension => Failure::Refused(reason),
            _ => {
                connection.is_broken.store(true, Ordering::Relaxed);
                if error.is_timeout() {
                    let ms = self.read_timeout.as_millis();
                    return Failure::Lost(format!("{}: no answer for {ms} ms", self.server).into());
                }
                Failure::Lost(reason)
            }
        }
    }

    async fn connection(&self) -> Result<Connection, Failure> {
        let arrived = Instant::now();
        let working = |slot: &Slot| {
            let connection = slot.connection.as_ref()?;
            (!connection.is_broken.load(Ordering::Relaxed)).then(|| connection.clone())
        };
        let connecting = async {
            let mut slot = self.slot.lock().await;
            if let Some(connection) = working(&slot) {
                return Ok(connection);
            }
            slot.connection = None;
            if let Some((at, reason)) = &slot.failure
                && *at >= arrived
            {
                return Err(Failure::Unsent(reason.clone()));
            }
            match self.connect_with_retries().await {
                Ok(connection) => {
                    slot.connection = Some(connection.clone());
                    Ok(connection)
                }
                Err(error) => {
                    let reason: Arc<str> = format!("{}: {error}", self.server).into();
                    slot.failure = Some((Instant::now(), reason.clone()));
                    Err(Failure::Unsent(reason))
                }
            }
        };
        let limit = self.dial_timeout;
        tokio::time::timeout(limit, connecting).await.unwrap_or_else(|_| {
            let reason = format!("{}: no connection within {} ms", self.server, limit.as_millis());
            Err(Failure::Unsent(reason.into()))
        })
    }

    async fn connect_with_retries(&self) -> Result<Connection, RedisError> {
        let mut interval = self.min_retry_interval;
        for _ in 0..self.max_retries {
            match self.connect_once().await {
                // What else the server says does not change so soon.
                Err(error) if error.is_io_error() || is_starting(&error) => {}
                done => return done,
            }
            tokio::time::sleep(interval).await;
            interval = (interval * 2).min(self.max_retry_interval);
        }
        self.connect_once().await
    }

    async fn connect_once(&self) -> Result<Connection, RedisError> {
        let is_broken = Arc::new(AtomicBool::new(false));
        let flag = is_broken.clone();
        let watcher = move |push: PushInfo| {
            if push.kind == PushKind::Disconnection {
                flag.store(true, Ordering::Relaxed);
            }
            Ok::<(), ()>(())
        };
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.dial_timeout))
            .set_response_timeout(Some(self.read_timeout))
            .set_push_sender(watcher);
        let mut multiplexed = self
            .client
            .get_multiplexed_async_connection_with_config(&config)
            .await?;
        // A server that still reads its files refuses this, and takes connections all the same.
        match ::redis::cmd("PING").exec_async(&mut multiplexed).await {
            Err(error) if error.is_io_error() || is_starting(&error) => return Err(error),
            // Who may not ask may still be served.
            _ => {}
        }
        // Many servers of others do not tell.
        let settings = ::redis::cmd("CONFIG")
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

/// The server still reads its files.
fn is_starting(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::BusyLoading)
}

/// Does not connect.
fn client(options: &Options) -> Result<Client, RedisError> {
    // With this protocol the client is told at once that the server is gone, not by the next call that fails.
    let mut login = RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP3)
        .set_db(options.database.into());
    if let Some(username) = &options.username {
        login = login.set_username(username);
    }
    if let Some(password) = &options.password {
        login = login.set_password(password);
    }
    let (host, port) = (options.host.clone(), options.port);
    let Some(tls) = &options.tls else {
        let address = ConnectionAddr::Tcp(host, port);
        return Client::open(address.into_connection_info()?.set_redis_settings(login));
    };
    let address = ConnectionAddr::TcpTls {
        host,
        port,
        insecure: tls.insecure_skip_verify,
        tls_params: None,
    };
    let server = address.into_connection_info()?.set_redis_settings(login);
    Client::build_with_tls(server, certificates(tls))
}

fn certificates(tls: &Tls) -> TlsCertificates {
    let pem = |text: &String| text.clone().into_bytes();
    TlsCertificates {
        client_tls: tls.client.as_ref().map(|(certificate, key)| ClientTlsConfig {
            client_cert: pem(certificate),
            client_key: pem(key),
        }),
        root_cert: tls.authorities.as_ref().map(pem),
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Link")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}
