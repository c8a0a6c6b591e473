//! One connection to the server, and how the store sets it up so that the port's promises hold on it.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio::task::JoinHandle;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::{Client, Config, Connection, Socket};
use tokio_postgres_rustls::MakeRustlsConnect as Rustls;

use super::error::{OpenError, describe};
use super::options::Options;

/// Makes connections to the server.
#[derive(Clone)]
pub(super) struct Connector {
    pub options: Arc<Options>,
    config: Config,
    tls: Tls,
}

/// TLS where it is used. A socket of this machine has no name that a certificate could be for, and gets no TLS, but is
/// asked for a name all the same.
#[derive(Clone)]
pub(super) struct Tls(Rustls);

impl MakeTlsConnect<Socket> for Tls {
    type Stream = <Rustls as MakeTlsConnect<Socket>>::Stream;
    type TlsConnect = <Rustls as MakeTlsConnect<Socket>>::TlsConnect;
    type Error = <Rustls as MakeTlsConnect<Socket>>::Error;

    fn make_tls_connect(&mut self, name: &str) -> Result<Self::TlsConnect, Self::Error> {
        let name = if name.is_empty() { "socket.invalid" } else { name };
        MakeTlsConnect::<Socket>::make_tls_connect(&mut self.0, name)
    }
}

/// A connection. It is closed when this is dropped.
pub(super) struct Session {
    pub client: Client,
    driver: JoinHandle<()>,
}

/// What the driver of a connection does with it.
pub(super) type Stream = Connection<Socket, <Tls as MakeTlsConnect<Socket>>::Stream>;

impl Connector {
    /// Does not connect yet.
    pub(super) fn new(options: Options) -> Result<Self, OpenError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| OpenError::Certificates(error.to_string().into()))?
            .with_root_certificates(roots(options.root_certificates.as_deref())?)
            .with_no_client_auth();
        let mut config = options.server.clone();
        config
            .connect_timeout(options.connect_timeout)
            .keepalives_idle(Duration::from_secs(10))
            .tcp_user_timeout(options.statement_timeout)
            .application_name("mainstay");
        Ok(Self {
            options: Arc::new(options),
            config,
            tls: Tls(Rustls::new(tls)),
        })
    }

    /// Connects, and drives the connection until the session is dropped. Cancel safe.
    pub(super) async fn session(&self) -> Result<Session, OpenError> {
        let (client, stream) = self.connect().await?;
        let driver = tokio::spawn(async move {
            if let Err(error) = stream.await {
                tracing::debug!(error = %describe(&error), "a connection of the store ended");
            }
        });
        let session = Session { client, driver };
        self.within(self.set_up(&session.client)).await?;
        Ok(session)
    }

    /// A connection that somebody else drives. It is not set up.
    pub(super) async fn connect(&self) -> Result<(Client, Stream), OpenError> {
        let connecting = async {
            let connected = self.config.connect(self.tls.clone()).await;
            connected.map_err(|error| OpenError::Unavailable(describe(&error)))
        };
        self.within(connecting).await
    }

    async fn within<T>(&self, work: impl Future<Output = Result<T, OpenError>>) -> Result<T, OpenError> {
        let limit = self.options.connect_timeout;
        tokio::time::timeout(limit, work).await.unwrap_or_else(|_| {
            let reason = format!("it does not answer within {} ms", limit.as_millis());
            Err(OpenError::Unavailable(reason.into()))
        })
    }

    /// Says what this session needs, whatever the server's defaults are, and makes sure that it is so.
    async fn set_up(&self, client: &Client) -> Result<(), OpenError> {
        let statement_timeout_ms = self.options.statement_timeout.as_millis();
        let settings = format!(
            "SET synchronous_commit = on; \
             SET default_transaction_isolation = 'read committed'; \
             SET default_transaction_read_only = off; \
             SET statement_timeout = {statement_timeout_ms}; \
             SET idle_in_transaction_session_timeout = 0; \
             SET client_connection_check_interval = 1000;",
        );
        let unavailable = |error: tokio_postgres::Error| OpenError::Unavailable(describe(&error));
        client.batch_execute(&settings).await.map_err(unavailable)?;
        let ask = "SELECT current_setting('synchronous_commit') = 'on', current_setting('fsync') = 'on', \
                   NOT pg_is_in_recovery()";
        let row = client.query_one(ask, &[]).await.map_err(unavailable)?;
        let demands = [
            "synchronous_commit is not on, and cannot be set",
            "fsync is off; set fsync = on in postgresql.conf",
            "it is a replica that cannot be written to; name the primary",
        ];
        for (column, demand) in demands.into_iter().enumerate() {
            if !row.try_get::<_, bool>(column).map_err(unavailable)? {
                return Err(OpenError::Unsafe(demand.into()));
            }
        }
        Ok(())
    }
}

impl Session {
    /// Whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Session")
            .field("is_closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn roots(file: Option<&Path>) -> Result<RootCertStore, OpenError> {
    let refuse = |reason: String| OpenError::Certificates(reason.into());
    let mut roots = RootCertStore::empty();
    if let Some(path) = file {
        let certificates = CertificateDer::pem_file_iter(path)
            .map_err(|error| refuse(format!("{}: {error}", path.display())))?;
        for certificate in certificates {
            let added = certificate
                .map_err(|error| error.to_string())
                .and_then(|certificate| roots.add(certificate).map_err(|error| error.to_string()));
            added.map_err(|error| refuse(format!("{}: {error}", path.display())))?;
        }
        if roots.is_empty() {
            return Err(refuse(format!("{} holds no certificate", path.display())));
        }
    } else {
        // Without any, every certificate is refused, which says so when one is met.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    }
    Ok(roots)
}
