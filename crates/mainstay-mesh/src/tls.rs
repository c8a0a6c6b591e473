//! TLS towards external services.

use std::fmt;
use std::io;
use std::sync::{Arc, OnceLock};

use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{CertificateError, ClientConfig, ConfigBuilder, Error, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// HTTP/2 as ALPN calls it.
pub(crate) const HTTP2: &[u8] = b"h2";
const HTTP1: &[u8] = b"http/1.1";

/// The protocols that are offered.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Offer {
    /// HTTP/2, else HTTP/1.1.
    Both,
    /// HTTP/1.1 alone.
    Http1,
    /// HTTP/2 alone.
    Http2,
}

/// How one service is spoken to over TLS, where that differs from all others: a Dapr `HTTPEndpoint`'s `clientTLS`.
/// Cheap to clone.
#[derive(Clone)]
pub struct ClientTls {
    configs: Configs,
    /// Whether others are trusted than those of the machine.
    own_roots: bool,
}

/// Certificates and keys as PEM.
#[derive(Clone, Copy)]
pub struct ClientTlsPem<'a> {
    /// Who signs the service's certificate; whom the machine trusts when absent.
    pub root_certificates: Option<&'a str>,
    /// The certificate that is shown to the service, with those that lead to its authority, and its key.
    pub identity: Option<(&'a str, &'a str)>,
}

/// Certificates or keys that cannot be used. What is in them is no part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidClientTls {
    /// There is no certificate in the text.
    #[error("the authority's certificate cannot be read: it is to be PEM")]
    Roots,
    /// There is no certificate in the text.
    #[error("the certificate cannot be read: it is to be PEM")]
    Certificate,
    /// There is no key in the text.
    #[error("the private key cannot be read: it is to be PEM without a password")]
    Key,
    /// Not those of each other, or of a kind that is not known.
    #[error("the certificate and the private key do not fit together")]
    Pair,
    /// None can be read.
    #[error("{0}")]
    Machine(String),
}

/// For each offer.
type Configs = [Arc<ClientConfig>; 3];

impl ClientTls {
    /// Reads certificates and keys. Reads files where the machine's authorities are trusted.
    ///
    /// # Errors
    /// When they cannot be used.
    pub fn new(pem: ClientTlsPem<'_>) -> Result<Self, InvalidClientTls> {
        let roots = match pem.root_certificates {
            None => machine_roots().map_err(|error| InvalidClientTls::Machine(error.to_string()))?,
            Some(text) => {
                let mut roots = RootCertStore::empty();
                for certificate in certificates(text).ok_or(InvalidClientTls::Roots)? {
                    roots.add(certificate).map_err(|_| InvalidClientTls::Roots)?;
                }
                roots
            }
        };
        let builder = builder(roots).map_err(|error| InvalidClientTls::Machine(error.to_string()))?;
        let config = match pem.identity {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate).ok_or(InvalidClientTls::Certificate)?;
                let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| InvalidClientTls::Key)?;
                let built = builder.with_client_auth_cert(chain, key);
                built.map_err(|_| InvalidClientTls::Pair)?
            }
        };
        Ok(Self {
            configs: offering(&config),
            own_roots: pem.root_certificates.is_some(),
        })
    }

    /// Whether both are the same reading.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let ([own, ..], [others, ..]) = (&self.configs, &other.configs);
        Arc::ptr_eq(own, others)
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("ClientTls").finish_non_exhaustive()
    }
}

/// All certificates in a text; `None` when there is none, or one that cannot be read.
fn certificates(pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    let found = CertificateDer::pem_slice_iter(pem.as_bytes());
    let found: Vec<_> = found.collect::<Result<_, _>>().ok()?;
    (!found.is_empty()).then_some(found)
}

/// Makes `stream` a TLS connection to `host`, whose certificate the machine's roots must vouch for, or those that
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` name in their place, or those of `own`.
pub(crate) async fn secure(
    stream: TcpStream,
    host: &str,
    offer: Offer,
    own: Option<&ClientTls>,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let [both, http1, http2] = match own {
        Some(own) => &own.configs,
        None => machine_configs().await?,
    };
    let config = match offer {
        Offer::Both => both,
        Offer::Http1 => http1,
        Offer::Http2 => http2,
    };
    let connecting = TlsConnector::from(config.clone()).connect(name, stream);
    let own_roots = own.is_some_and(|own| own.own_roots);
    connecting.await.map_err(|error| explained(&error, own_roots))
}

/// What a handshake failed of, in the words of somebody who has to mend it.
fn explained(error: &io::Error, own_roots: bool) -> io::Error {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>());
    let explanation = match cause {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) if own_roots => {
            "its certificate is not from the authority that `clientTLS` names".to_owned()
        }
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "its certificate is from nobody whom this machine trusts; SSL_CERT_FILE can name a file of those to trust"
                .to_owned()
        }
        Some(Error::InvalidMessage(_)) => "it speaks no TLS: is the URL one of http://?".to_owned(),
        _ => format!("TLS: {error}"),
    };
    io::Error::new(error.kind(), explanation)
}

/// The configurations for all services that have none of their own, read from the machine at the first use.
async fn machine_configs() -> io::Result<&'static Configs> {
    static CONFIGS: OnceLock<Configs> = OnceLock::new();
    if CONFIGS.get().is_none() {
        let load = || {
            let config = builder(machine_roots()?).map_err(io::Error::other)?;
            Ok::<_, io::Error>(offering(&config.with_no_client_auth()))
        };
        // Reads files.
        let loaded = tokio::task::spawn_blocking(load)
            .await
            .map_err(io::Error::other)??;
        let _ = CONFIGS.set(loaded);
    }
    CONFIGS.get().ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn machine_roots() -> io::Result<RootCertStore> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why = found
            .errors
            .first()
            .map_or_else(|| "there are none".to_owned(), ToString::to_string);
        let message = format!("no root certificates can be read: {why}");
        return Err(io::Error::new(io::ErrorKind::NotFound, message));
    }
    for error in found.errors {
        tracing::warn!(%error, "some root certificates cannot be read");
    }
    Ok(roots)
}

fn builder(roots: RootCertStore) -> Result<ConfigBuilder<ClientConfig, WantsClientCert>, Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots))
}

fn offering(config: &ClientConfig) -> Configs {
    let offers: [&[&[u8]]; 3] = [&[HTTP2, HTTP1], &[HTTP1], &[HTTP2]];
    offers.map(|protocols| {
        let mut config = config.clone();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    })
}
