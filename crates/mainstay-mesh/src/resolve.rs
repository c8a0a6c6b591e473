//! Names of external services to addresses.

use std::io;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::dial;
use crate::origin::External;

/// How long an answer of the resolver is used. Short, because services move by changing their name's addresses, and
/// the resolver of the machine has a cache of its own.
const MAX_AGE: Duration = Duration::from_secs(5);

/// The time the resolver may take.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(2);

/// The addresses of one name.
#[derive(Debug, Default)]
pub(crate) struct Addresses(Mutex<Option<(Vec<SocketAddr>, Instant)>>);

impl Addresses {
    fn fresh(&self) -> Option<Vec<SocketAddr>> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (addresses, until) = known.as_ref()?;
        (*until > Instant::now()).then(|| addresses.clone())
    }

    fn set(&self, addresses: Option<Vec<SocketAddr>>) {
        let known = addresses.map(|addresses| (addresses, Instant::now() + MAX_AGE));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }
}

impl External {
    /// Opens a TCP connection to the first of its addresses that accepts one.
    pub(crate) async fn connect(&self) -> io::Result<TcpStream> {
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
        for address in self.resolve().await? {
            match dial::connect(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
        // It may have moved.
        self.addresses.set(None);
        Err(failure)
    }

    async fn resolve(&self) -> io::Result<Vec<SocketAddr>> {
        if let Some(addresses) = self.addresses.fresh() {
            return Ok(addresses);
        }
        let resolving = tokio::net::lookup_host((self.host.as_str(), self.port));
        let addresses: Vec<_> = tokio::time::timeout(RESOLVE_TIMEOUT, resolving)
            .await
            .map_err(|_| io::Error::new(io::ErrorKind::TimedOut, "its name was not resolved in time"))??
            .collect();
        self.addresses.set(Some(addresses.clone()));
        Ok(addresses)
    }
}
