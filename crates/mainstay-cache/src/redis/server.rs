//! The connection to the server, kept by a task: made, lost, made again.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use redis::{Client, FromRedisValue, IntoConnectionInfo, Pipeline, TlsCertificates};
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::AbortHandle;

use super::Names;
use super::link::Link;
use crate::error::StoreError;
use crate::port::Selection;

/// The first pause after a failed attempt to connect; each one is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Invalidations that wait for the server one by one; past that, everything of their caches is forgotten.
const MAX_PENDING: usize = 1_024;

/// How to reach a server.
#[derive(Clone)]
pub struct RedisOptions {
    /// `redis://user:password@host:6379/0`, `rediss://` for TLS, `redis+unix:///socket`.
    pub url: String,
    /// Who signs the server's certificate, in PEM; without it, whom the machine trusts.
    pub root_certificates: Option<Vec<u8>>,
    /// What all keys begin with, so that several systems can share a server.
    pub namespace: String,
    /// How long a caller waits for one answer of the server. After that the server counts as gone.
    pub operation_timeout: Duration,
    /// How long it may take to connect.
    pub connect_timeout: Duration,
    /// Where the connection lives.
    pub runtime: Handle,
}

impl RedisOptions {
    /// The server behind `url`: 250 ms for an answer, 2 s to connect.
    pub fn new(url: impl Into<String>, namespace: impl Into<String>, runtime: Handle) -> Self {
        Self {
            url: url.into(),
            root_certificates: None,
            namespace: namespace.into(),
            operation_timeout: Duration::from_millis(250),
            connect_timeout: Duration::from_secs(2),
            runtime,
        }
    }
}

/// The URL may hold a password, so it is not shown.
impl fmt::Debug for RedisOptions {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RedisOptions")
            .field("namespace", &self.namespace)
            .finish_non_exhaustive()
    }
}

/// The URL or the certificates cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the URL of the cache's Redis server cannot be used: {0}")]
pub struct InvalidUrl(String);

/// A server, with one connection that all caches on it share. It is kept until this is dropped.
///
/// While there is no connection every request fails at once. What could not be invalidated is made up for before a new
/// connection is used for anything else.
pub struct Redis {
    shared: Arc<Shared>,
    keeper: AbortHandle,
}

struct Shared {
    options: RedisOptions,
    client: Client,
    /// Where the server is, without credentials.
    address: String,
    /// Read without a lock; changed only while `pending` is locked.
    link: ArcSwapOption<Link>,
    pending: Mutex<Vec<Invalidation>>,
    /// Whether there is a link.
    connected: watch::Sender<bool>,
}

/// What is to be made up for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Invalidation {
    names: Arc<Names>,
    selection: Selection,
}

impl Redis {
    /// Begins to connect. The server need not be there yet.
    ///
    /// # Errors
    /// When the URL or the certificates cannot be used.
    pub fn open(options: RedisOptions) -> Result<Self, InvalidUrl> {
        // The client takes the process's provider of cryptography. Where there is one already, it is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let invalid = |error: redis::RedisError| InvalidUrl(error.to_string());
        let info = options.url.as_str().into_connection_info().map_err(invalid)?;
        let address = info.addr().to_string();
        let client = match options.root_certificates.clone() {
            None => Client::open(info),
            Some(pem) => Client::build_with_tls(
                info,
                TlsCertificates {
                    client_tls: None,
                    root_cert: Some(pem),
                },
            ),
        };
        let shared = Arc::new(Shared {
            client: client.map_err(invalid)?,
            options,
            address,
            link: ArcSwapOption::empty(),
            pending: Mutex::default(),
            connected: watch::Sender::new(false),
        });
        let keeper = shared.options.runtime.spawn(shared.clone().keep());
        Ok(Self {
            shared,
            keeper: keeper.abort_handle(),
        })
    }

    /// Waits until the server can be used. Cancel safe.
    pub async fn connected(&self) {
        let mut connected = self.shared.connected.subscribe();
        // The sender lives as long as this.
        let _ = connected.wait_for(|connected| *connected).await;
    }

    /// Whether the server can be used at present, as far as is known.
    pub fn is_connected(&self) -> bool {
        self.shared.link.load().is_some()
    }

    pub(super) fn namespace(&self) -> &str {
        &self.shared.options.namespace
    }

    pub(super) async fn query<T: FromRedisValue>(&self, pipeline: &Pipeline) -> Result<T, StoreError> {
        let link = self.shared.link.load_full().ok_or(StoreError::Unavailable)?;
        match link.query(pipeline).await {
            Ok(answer) => Ok(answer),
            Err(failure) => {
                if failure.broken {
                    self.shared.withdraw(&link);
                }
                Err(failure.error)
            }
        }
    }

    /// Forgets now, or before this process uses the server again.
    pub(super) async fn invalidate(&self, names: Arc<Names>, selection: Selection) -> Result<(), StoreError> {
        let error = match self.shared.link.load_full() {
            None => StoreError::Unavailable,
            Some(link) => match link.invalidate(&names, &selection).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure.error,
            },
        };
        self.shared.defer(Invalidation { names, selection });
        Err(error)
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Redis")
            .field("address", &self.shared.address)
            .field("connected", &self.is_connected())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn pending(&self) -> MutexGuard<'_, Vec<Invalidation>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Uses `link` no longer.
    fn withdraw(&self, link: &Arc<Link>) {
        let _pending = self.pending();
        if self
            .link
            .load()
            .as_ref()
            .is_some_and(|present| Arc::ptr_eq(present, link))
        {
            self.link.store(None);
            self.connected.send_replace(false);
        }
    }

    /// Remembers what could not be forgotten. Nothing is read from the server until it was.
    fn defer(&self, invalidation: Invalidation) {
        let mut pending = self.pending();
        add(&mut pending, invalidation);
        self.link.store(None);
        self.connected.send_replace(false);
    }

    /// Keeps a connection, for ever.
    async fn keep(self: Arc<Self>) {
        let mut connected = self.connected.subscribe();
        let mut pause = FIRST_PAUSE;
        let mut told = false;
        loop {
            match self.connect().await {
                Ok(()) => {
                    tracing::info!(address = %self.address, "the cache's server is there");
                    (pause, told) = (FIRST_PAUSE, false);
                    // The sender lives as long as this.
                    let _ = connected.wait_for(|connected| !connected).await;
                    tracing::warn!(address = %self.address, "the cache's server is gone: values are loaded without it");
                }
                Err(error) => {
                    if !told {
                        tracing::warn!(address = %self.address, %error, "the cache's server cannot be used: values are loaded without it");
                        told = true;
                    }
                    tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// Makes a connection, makes up for what is pending, and lets everybody use it.
    async fn connect(&self) -> Result<(), StoreError> {
        let RedisOptions {
            connect_timeout,
            operation_timeout,
            ..
        } = self.options;
        let link = Arc::new(Link::open(&self.client, connect_timeout, operation_timeout).await?);
        loop {
            let due = {
                let mut pending = self.pending();
                if pending.is_empty() {
                    self.link.store(Some(link));
                    self.connected.send_replace(true);
                    return Ok(());
                }
                std::mem::take(&mut *pending)
            };
            for (index, invalidation) in due.iter().enumerate() {
                let done = link
                    .invalidate(&invalidation.names, &invalidation.selection)
                    .await;
                if let Err(failure) = done {
                    let mut pending = self.pending();
                    for left in due.into_iter().skip(index) {
                        add(&mut pending, left);
                    }
                    return Err(failure.error);
                }
            }
        }
    }
}

/// Adds what is not there yet, and keeps the list short.
fn add(pending: &mut Vec<Invalidation>, invalidation: Invalidation) {
    if pending.contains(&invalidation) {
        return;
    }
    pending.push(invalidation);
    if pending.len() > MAX_PENDING {
        let mut caches: Vec<Invalidation> = Vec::new();
        for Invalidation { names, .. } in pending.drain(..) {
            if !caches.iter().any(|known| known.names == names) {
                let selection = Selection::All;
                caches.push(Invalidation { names, selection });
            }
        }
        *pending = caches;
    }
}
