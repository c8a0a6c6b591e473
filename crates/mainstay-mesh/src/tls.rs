//! TLS towards external services.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::ServerName;
use rustls::{CertificateError, ClientConfig, Error, RootCertStore};
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

/// Makes `stream` a TLS connection to `host`, whose certificate the machine's roots must vouch for, or those that
/// `SSL_CERT_FILE` and `SSL_CERT_DIR` name in their place.
pub(crate) async fn secure(stream: TcpStream, host: &str, offer: Offer) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(host.to_owned()).map_err(io::Error::other)?;
    let connector = TlsConnector::from(config(offer).await?);
    let connecting = connector.connect(name, stream);
    connecting.await.map_err(|error| explained(&error))
}

/// What a handshake failed of, in the words of somebody who has to mend it.
fn explained(error: &io::Error) -> io::Error {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<Error>());
    let explanation = match cause {
        Some(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
            "its certificate is from nobody whom this machine trusts; SSL_CERT_FILE can name a file of those to trust"
                .to_owned()
        }
        Some(Error::InvalidMessage(_)) => "it speaks no TLS: is the URL one of http://?".to_owned(),
        _ => format!("TLS: {error}"),
    };
    io::Error::new(error.kind(), explanation)
}

/// The configuration for each offer, read from the machine at the first use.
async fn config(offer: Offer) -> io::Result<Arc<ClientConfig>> {
    static CONFIGS: OnceLock<[Arc<ClientConfig>; 3]> = OnceLock::new();
    if CONFIGS.get().is_none() {
        // Reads files.
        let loaded = tokio::task::spawn_blocking(load)
            .await
            .map_err(io::Error::other)??;
        let _ = CONFIGS.set(loaded);
    }
    let configs = CONFIGS.get().ok_or(io::ErrorKind::NotFound)?;
    let [both, http1, http2] = configs;
    Ok(match offer {
        Offer::Both => both.clone(),
        Offer::Http1 => http1.clone(),
        Offer::Http2 => http2.clone(),
    })
}

fn load() -> io::Result<[Arc<ClientConfig>; 3]> {
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
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let offering = |protocols: &[&[u8]]| {
        let mut config = config.clone();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Arc::new(config)
    };
    Ok([offering(&[HTTP2, HTTP1]), offering(&[HTTP1]), offering(&[HTTP2])])
}
