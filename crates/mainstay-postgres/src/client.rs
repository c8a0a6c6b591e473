//! The connection that the statements of a component share.

use std::fmt;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Connection, Row, Socket};
use tokio_postgres_rustls::MakeRustlsConnect as Rustls;

use crate::error::{PostgresError, describe};
use crate::options::Options;

/// How long a connection is silent before the kernel asks whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// A PostgreSQL. Clones share one connection, on which statements are sent without waiting for the answers of others. When it
/// breaks, the next statement makes a new one; a statement that was sent is not sent again.
#[derive(Clone)]
pub struct Postgres {
    shared: Arc<Shared>,
}

struct Shared {
    options: Options,
    tls: Tls,
    session: Mutex<Option<Arc<Session>>>,
}

/// A connection, on which its client sends statements. It is closed when this is dropped.
pub struct Session {
    client: Client,
    driver: JoinHandle<()>,
}

/// TLS where it is used. A socket of this machine has no name that a certificate could be for, but is asked for one.
#[derive(Clone)]
pub(crate) struct Tls(Rustls);

/// What the driver of a connection does with it.
pub(crate) type Stream = Connection<Socket, <Tls as MakeTlsConnect<Socket>>::Stream>;

impl Postgres {
    /// Does not connect yet.
    pub fn new(options: Options) -> Result<Self, PostgresError> {
        let tls = Tls::new(&options)?;
        let shared = Shared {
            options,
            tls,
            session: Mutex::default(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Connects and logs in. Cancel safe.
    pub async fn connect(options: Options) -> Result<Self, PostgresError> {
        let postgres = Self::new(options)?;
        postgres.shared_session().await?;
        Ok(postgres)
    }

    /// The rows that a statement gives. Not cancel safe: it may be done or not.
    pub async fn query(
        &self,
        statement: &str,
        parameters: &[&(dyn ToSql + Sync)],
    ) -> Result<Vec<Row>, PostgresError> {
        let session = self.shared_session().await?;
        let rows = async { Ok(session.client.query(statement, parameters).await?) };
        let answered = self.within(rows, PostgresError::UnknownOutcome).await;
        if matches!(answered, Err(PostgresError::UnknownOutcome(_))) {
            self.leave(&session).await;
        }
        answered
    }

    /// How it is reached.
    pub fn options(&self) -> &Options {
        &self.shared.options
    }

    /// A connection of one's own, for transactions and the like. Nothing bounds how long its statements take. Cancel safe.
    pub async fn session(&self) -> Result<Session, PostgresError> {
        let (client, stream) = self.open().await?;
        let driver = tokio::spawn(async move {
            if let Err(error) = stream.await {
                tracing::debug!(error = %describe(&error), "a connection to PostgreSQL ended");
            }
        });
        Ok(Session { client, driver })
    }

    /// A connection that somebody else drives. Cancel safe.
    pub(crate) async fn open(&self) -> Result<(Client, Stream), PostgresError> {
        let mut server = self.shared.options.server.clone();
        server
            .application_name("mainstay")
            .keepalives_idle(KEEPALIVE)
            .keepalives_interval(KEEPALIVE / 3)
            .keepalives_retries(3)
            .tcp_user_timeout(self.shared.options.timeout);
        let connecting = async {
            let connected = server.connect(self.shared.tls.clone()).await;
            // Nothing is asked for before there is a connection.
            connected.map_err(|error| match PostgresError::from(error) {
                PostgresError::UnknownOutcome(reason) => PostgresError::Unavailable(reason),
                other => other,
            })
        };
        self.within(connecting, PostgresError::Unavailable).await
    }

    pub(crate) async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, PostgresError>>,
        late: impl FnOnce(Arc<str>) -> PostgresError,
    ) -> Result<T, PostgresError> {
        let limit = self.shared.options.timeout;
        let done = tokio::time::timeout(limit, work).await;
        done.unwrap_or_else(|_| Err(late(format!("no answer within {} ms", limit.as_millis()).into())))
    }

    /// The connection, made anew when it has ended. Others who want it wait for the same one.
    async fn shared_session(&self) -> Result<Arc<Session>, PostgresError> {
        let mut present = self.shared.session.lock().await;
        if let Some(session) = present.as_ref().filter(|session| !session.is_closed()) {
            return Ok(session.clone());
        }
        let session = Arc::new(self.session().await?);
        *present = Some(session.clone());
        Ok(session)
    }

    /// The server may still be busy with what was sent; other statements do not wait for that.
    async fn leave(&self, session: &Arc<Session>) {
        let mut present = self.shared.session.lock().await;
        if present
            .as_ref()
            .is_some_and(|present| Arc::ptr_eq(present, session))
        {
            *present = None;
        }
    }
}

impl Deref for Session {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}

impl DerefMut for Session {
    fn deref_mut(&mut self) -> &mut Client {
        &mut self.client
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

impl Tls {
    fn new(options: &Options) -> Result<Self, PostgresError> {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| PostgresError::Certificates(error.to_string().into()))?
            .with_root_certificates(roots(options)?)
            .with_no_client_auth();
        Ok(Self(Rustls::new(config)))
    }
}

impl MakeTlsConnect<Socket> for Tls {
    type Stream = <Rustls as MakeTlsConnect<Socket>>::Stream;
    type TlsConnect = <Rustls as MakeTlsConnect<Socket>>::TlsConnect;
    type Error = <Rustls as MakeTlsConnect<Socket>>::Error;

    fn make_tls_connect(&mut self, name: &str) -> Result<Self::TlsConnect, Self::Error> {
        let name = if name.is_empty() { "socket.invalid" } else { name };
        MakeTlsConnect::<Socket>::make_tls_connect(&mut self.0, name)
    }
}

fn roots(options: &Options) -> Result<RootCertStore, PostgresError> {
    let mut roots = RootCertStore::empty();
    let Some(path) = &options.root_certificates else {
        // Without any, every certificate is refused, which says so when one is met.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        return Ok(roots);
    };
    let refuse = |reason: String| PostgresError::Certificates(format!("{}: {reason}", path.display()).into());
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| refuse(error.to_string()))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| refuse(error.to_string()))?;
        roots
            .add(certificate)
            .map_err(|error| refuse(error.to_string()))?;
    }
    if roots.is_empty() {
        return Err(refuse("it holds no certificate".to_owned()));
    }
    Ok(roots)
}

/// Without the password.
impl fmt::Debug for Postgres {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("Postgres")
            .field(&self.shared.options)
            .finish()
    }
}
