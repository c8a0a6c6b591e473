//! The connection that the commands of a component share.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use redis::aio::{ConnectionManager, ConnectionManagerConfig, PubSubStream};
use redis::io::tcp::TcpSettings;
use redis::{
    Client, ClientTlsConfig, Cmd, ConnectionAddr, FromRedisValue, IntoConnectionInfo, RedisConnectionInfo,
    TlsCertificates,
};
use socket2::TcpKeepalive;

use crate::error::RedisError;
use crate::options::{Options, Tls};

/// How long a connection is silent before the kernel asks whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Most commands that wait for an answer at a time; further ones wait until they are sent.
const MAX_IN_FLIGHT: usize = 1_024;

/// A Redis. Clones share one connection, on which commands overtake nobody and wait for nobody. When it breaks it is made
/// anew; a command that was sent on it is not sent again.
#[derive(Clone)]
pub struct Redis {
    client: Client,
    connection: ConnectionManager,
    options: Arc<Options>,
}

impl Redis {
    /// Connects, logs in, and makes sure that there is an answer. Cancel safe.
    pub async fn connect(options: Options) -> Result<Self, RedisError> {
        let client = client(&options)?;
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(options.dial_timeout))
            .set_response_timeout(Some(options.response_timeout))
            .set_number_of_retries(options.max_retries)
            .set_min_delay(options.min_retry_interval)
            .set_max_delay(options.max_retry_interval)
            .set_concurrency_limit(MAX_IN_FLIGHT);
        let connecting = ConnectionManager::new_with_config(client.clone(), config);
        let connection = connecting.await.map_err(unreached)?;
        let redis = Self {
            client,
            connection,
            options: Arc::new(options),
        };
        redis.run::<String>(&redis::cmd("PING")).await?;
        Ok(redis)
    }

    /// Runs a command. Not cancel safe: it may be done or not.
    pub async fn run<T: FromRedisValue>(&self, command: &Cmd) -> Result<T, RedisError> {
        // A clone is a pointer; the connection wants to be mutable.
        let mut connection = self.connection.clone();
        Ok(command.query_async(&mut connection).await?)
    }

    /// Hears what is published, on a connection of its own. What is published after this was answered is not missed, as long
    /// as the connection lasts. Cancel safe.
    pub async fn subscribe(&self, topics: Topics<'_>) -> Result<Messages, RedisError> {
        let subscribing = async {
            let mut pubsub = self.client.get_async_pubsub().await?;
            match topics {
                Topics::Channels(channels) => pubsub.subscribe(channels).await?,
                Topics::Pattern(pattern) => pubsub.psubscribe(pattern).await?,
            }
            Ok(Messages(pubsub.into_on_message()))
        };
        let limit = self.options.dial_timeout + self.options.response_timeout;
        let subscribed = tokio::time::timeout(limit, subscribing).await;
        subscribed.map_or_else(
            |_| {
                Err(RedisError::Unavailable(
                    format!("no answer within {} ms", limit.as_millis()).into(),
                ))
            },
            |subscribed| subscribed.map_err(unreached),
        )
    }

    /// How it is reached.
    pub fn options(&self) -> &Options {
        &self.options
    }
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

/// Nothing is asked for before there is a connection.
fn unreached(error: redis::RedisError) -> RedisError {
    match RedisError::from(error) {
        RedisError::UnknownOutcome(reason) => RedisError::Unavailable(reason),
        other => other,
    }
}

fn client(options: &Options) -> Result<Client, RedisError> {
    if options.tls.is_some() {
        // The `redis` crate takes the one of the process. It is no error that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
    let host = options.host.clone();
    let port = options.port;
    let address = match &options.tls {
        None => ConnectionAddr::Tcp(host, port),
        Some(Tls { insecure, .. }) => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: *insecure,
            tls_params: None,
        },
    };
    let mut login = RedisConnectionInfo::default()
        .set_db(options.database.into())
        .set_lib_name("mainstay", env!("CARGO_PKG_VERSION"));
    if let Some(username) = &options.username {
        login = login.set_username(username);
    }
    if let Some(password) = &options.password {
        login = login.set_password(password.as_str());
    }
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE / 3)
        .with_retries(3);
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    let server = address
        .into_connection_info()?
        .set_redis_settings(login)
        .set_tcp_settings(settings);
    if options.tls.as_ref().is_some_and(|tls| tls.insecure) {
        tracing::warn!(
            host = options.host,
            "the certificate of Redis is not checked: insecureSkipTLSVerify is set"
        );
    }
    match options.tls.as_ref().and_then(|tls| tls.client.as_ref()) {
        None => Ok(Client::open(server)?),
        Some((certificate, key)) => {
            let client_tls = ClientTlsConfig {
                client_cert: certificate.clone().into_bytes(),
                client_key: key.as_bytes().to_vec(),
            };
            let certificates = TlsCertificates {
                client_tls: Some(client_tls),
                root_cert: None,
            };
            Ok(Client::build_with_tls(server, certificates)?)
        }
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
        formatter.debug_tuple("Redis").field(&self.options).finish()
    }
}
