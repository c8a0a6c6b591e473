//! What the host needs from outside; the binary plugs it in.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use mainstay_base::ReplicaId;

/// What a replica is started with.
#[derive(Clone, Debug, Default)]
pub struct Prepared {
    /// The port it shall listen on; given as `PORT`, used by probes and for traffic.
    pub port: Option<u16>,
    /// Its own variables, `PORT` and `APP_ID` among them; they win over the app's.
    pub env: Vec<(String, String)>,
}

/// Why a replica cannot be started now.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct PrepareError(pub String);

/// A probe over the network. The host opens no connections itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NetworkProbe {
    /// `GET http://127.0.0.1:{port}{path}` answers 200 to 399.
    Http {
        /// Where.
        port: u16,
        /// Path with query.
        path: String,
    },
    /// The port accepts a connection.
    Tcp {
        /// Where.
        port: u16,
    },
}

/// What the host needs from outside.
pub trait Surroundings: Send + Sync + 'static {
    /// Called before each start and restart of a replica.
    ///
    /// # Errors
    /// A taken port, for example; shown to the user and tried again with the restart backoff.
    fn prepare(&self, replica: &ReplicaId) -> Result<Prepared, PrepareError>;

    /// Called before a replica is stopped on purpose: give it no more calls and wait until the running ones have ended,
    /// at most for `limit`.
    fn drain<'a>(
        &'a self,
        replica: &'a ReplicaId,
        limit: Duration,
    ) -> Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

    /// Makes one probe; the host bounds it with the probe's timeout by dropping the future.
    ///
    /// # Errors
    /// Why it failed, in words: `connection refused`, `answered 503`.
    fn probe<'a>(
        &'a self,
        probe: &'a NetworkProbe,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>>;
}
