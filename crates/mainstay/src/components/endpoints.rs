//! What external services are called with: headers, certificates and keys, whose secrets are fetched when the system starts.

use http::{HeaderName, HeaderValue};
use mainstay_mesh::{ClientTls, ClientTlsPem};

use super::opened::{Opened, Secrets};
use crate::failure::Failure;
use crate::resources::{HeaderSource, INIT_TIMEOUT, TlsSource, header_value};

/// What a service is called with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Secured {
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    pub(crate) tls: Option<ClientTls>,
}

impl Opened {
    /// Fetches the secrets of the service called `name`.
    pub(crate) async fn secure(
        &self,
        name: &str,
        headers: &[(HeaderName, HeaderSource)],
        tls: Option<&TlsSource>,
    ) -> Result<Secured, Failure> {
        let secrets = self.secrets();
        let fetching = async {
            Ok(Secured {
                headers: fetch_headers(headers, &secrets).await?,
                tls: match tls {
                    Some(tls) => Some(fetch_tls(tls, &secrets).await?),
                    None => None,
                },
            })
        };
        let fetched = tokio::time::timeout(INIT_TIMEOUT, fetching).await;
        fetched
            .unwrap_or_else(|_| Err("its secrets are not there in time".to_owned()))
            .map_err(|reason| Failure::refused(format!("the external service `{name}`: {reason}")))
    }
}

async fn fetch_headers(
    headers: &[(HeaderName, HeaderSource)],
    secrets: &Secrets<'_>,
) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let mut fetched = Vec::new();
    for (name, source) in headers {
        let value = match source {
            HeaderSource::Value(value) => value.clone(),
            HeaderSource::Secret(secret) => {
                let text = secrets.value(secret).await;
                let text = text.map_err(|reason| format!("the header `{name}`: {reason}"))?;
                header_value(&text)
                    .ok_or_else(|| format!("the secret of `{name}` is not the value of a header"))?
            }
        };
        fetched.push((name.clone(), value));
    }
    Ok(fetched)
}

async fn fetch_tls(tls: &TlsSource, secrets: &Secrets<'_>) -> Result<ClientTls, String> {
    let of_tls = |reason| format!("`clientTLS`: {reason}");
    let mut roots = None;
    if let Some(source) = &tls.root_certificates {
        roots = Some(secrets.value(source).await.map_err(of_tls)?);
    }
    let mut identity = None;
    if let Some((certificate, key)) = &tls.identity {
        let certificate = secrets.value(certificate).await.map_err(of_tls)?;
        identity = Some((certificate, secrets.value(key).await.map_err(of_tls)?));
    }
    let identity = identity.as_ref();
    let read = ClientTls::new(ClientTlsPem {
        root_certificates: roots.as_deref(),
        identity: identity.map(|(certificate, key)| (certificate.as_str(), key.as_str())),
    });
    read.map_err(|error| of_tls(error.to_string()))
}
