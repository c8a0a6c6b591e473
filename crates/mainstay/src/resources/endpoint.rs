//! `HTTPEndpoint`: an external service with a name.

use http::{HeaderName, HeaderValue, Uri};
use mainstay_base::AppId;
use mainstay_mesh::{ClientTls, ClientTlsPem};

use super::file::{self, Header, HttpEndpoint};
use super::value::{Problem, SettingValue, Sources, Written};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Place};
use crate::document::Document;
use crate::manifest::parse_url;

/// An external service of a resource file.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// Its name.
    pub(crate) name: AppId,
    /// Where it is.
    pub(crate) url: Uri,
    /// Headers added to every request.
    pub(crate) headers: Vec<(HeaderName, HeaderSource)>,
    /// What is special about its TLS.
    pub(crate) tls: Option<TlsSource>,
    /// Who may call it; everyone when empty.
    pub(crate) scopes: Vec<String>,
    /// Where it is written.
    pub(crate) place: Place,
}

/// Where the value of a header is.
#[derive(Clone, Debug)]
pub(crate) enum HeaderSource {
    /// Here.
    Value(HeaderValue),
    /// In a secret, which is fetched when the system starts.
    Secret(SettingValue),
}

/// Where certificates and keys are.
#[derive(Clone, Debug)]
pub(crate) struct TlsSource {
    /// Who signs the service's certificate.
    pub(crate) root_certificates: Option<SettingValue>,
    /// The certificate that is shown to it, and its key.
    pub(crate) identity: Option<(SettingValue, SettingValue)>,
}

impl Endpoint {
    pub(super) fn read(
        file: HttpEndpoint,
        document: &Document,
        environment: &dyn Fn(&str) -> Option<String>,
        diagnostics: &mut Diagnostics,
    ) -> Option<Self> {
        let mut error = |code, path: &[&str], message: String, help: &str| {
            diagnostics.push(Diagnostic::error(code, document.find(path), message).help(help));
        };
        let name = AppId::new(&file.metadata.name);
        if let Err(problem) = &name {
            let help = "calls name it";
            error(Code::WRONG_FORM, &["metadata", "name"], problem.to_string(), help);
        }
        let url = parse_url(&file.spec.base_url);
        if url.is_none() {
            let message = format!("`{}` is not the URL of a service", file.spec.base_url);
            let help = "write http:// or https://, a host, and at most a path: https://psp.example/v2";
            error(Code::WRONG_FORM, &["spec", "baseUrl"], message, help);
        }
        let secret_store = file.auth.and_then(|auth| auth.secret_store);
        let sources = Sources {
            environment,
            secret_store: secret_store.as_deref(),
        };
        let mut headers = Vec::new();
        for (index, header) in file.spec.headers.into_iter().enumerate() {
            match read_header(header, sources) {
                Ok(read) => headers.push(read),
                Err((code, message, help)) => {
                    error(code, &["spec", "headers", &index.to_string()], message, help);
                }
            }
        }
        let plain = url.as_ref().is_some_and(|url| url.scheme_str() == Some("http"));
        let tls = file.spec.client_tls.map(|tls| read_tls(tls, plain, sources));
        let tls = match tls.transpose() {
            Ok(tls) => tls,
            Err((code, message, help)) => {
                error(code, &["spec", "clientTLS"], message, help);
                None
            }
        };
        Some(Self {
            name: name.ok()?,
            url: url?,
            headers,
            tls,
            scopes: file.scopes,
            place: document.find(&["metadata", "name"]),
        })
    }
}

fn read_header(header: Header, sources: Sources<'_>) -> Result<(HeaderName, HeaderSource), Problem> {
    let written = Written {
        value: header.value,
        env_ref: header.env_ref,
        secret_key_ref: header.secret_key_ref,
    };
    let shown = format!("the header {}", header.name);
    let value = written.read(&shown, sources)?.ok_or_else(|| {
        let message = format!("`{shown}` has no value");
        let help = "give exactly one of `value`, `envRef` and `secretKeyRef`";
        (Code::CONTRADICTION, message, help)
    })?;
    let malformed = || {
        let message = format!("`{}` with its value is not a header", header.name);
        let help = "names are letters, digits and `-`; values have no line breaks";
        (Code::WRONG_FORM, message, help)
    };
    let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| malformed())?;
    let source = match value {
        SettingValue::Text(text) => HeaderSource::Value(header_value(&text).ok_or_else(malformed)?),
        secret @ SettingValue::Secret { .. } => HeaderSource::Secret(secret),
    };
    Ok((name, source))
}

/// The value of a header; such headers often carry credentials.
pub(crate) fn header_value(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn read_tls(tls: file::ClientTls, plain: bool, sources: Sources<'_>) -> Result<TlsSource, Problem> {
    if plain {
        let message = "there is a `clientTLS`, and the service is spoken to without TLS".to_owned();
        return Err((Code::CONTRADICTION, message, "write https:// in `baseUrl`"));
    }
    if tls
        .renegotiation
        .is_some_and(|allowed| allowed != "RenegotiateNever")
    {
        let message = "`renegotiation`: another handshake in between is not supported".to_owned();
        return Err((
            Code::UNSUPPORTED,
            message,
            "take it out, or write RenegotiateNever",
        ));
    }
    let document = |name: &str, document: Option<file::TlsDocument>| {
        let written = document.map(|document| Written {
            value: document.value,
            secret_key_ref: document.secret_key_ref,
            ..Written::default()
        });
        written.unwrap_or_default().read(name, sources)
    };
    let root_certificates = document("rootCA", tls.root_ca)?;
    let identity = match (
        document("certificate", tls.certificate)?,
        document("privateKey", tls.private_key)?,
    ) {
        (Some(certificate), Some(key)) => Some((certificate, key)),
        (None, None) => None,
        _ => {
            let message = "`certificate` and `privateKey` go together".to_owned();
            return Err((Code::MISSING_KEY, message, "give both, or none"));
        }
    };
    let source = TlsSource {
        root_certificates,
        identity,
    };
    // What is written here can be checked now.
    source.read_text()?;
    Ok(source)
}

impl TlsSource {
    fn read_text(&self) -> Result<(), Problem> {
        let text = |value: &SettingValue| match value {
            SettingValue::Text(text) => Some(text.clone()),
            SettingValue::Secret { .. } => None,
        };
        let roots = self.root_certificates.as_ref().map(text);
        let identity = self
            .identity
            .as_ref()
            .map(|(certificate, key)| Some((text(certificate)?, text(key)?)));
        if roots == Some(None) || identity == Some(None) {
            return Ok(());
        }
        let (roots, identity) = (roots.flatten(), identity.flatten());
        let identity = identity.as_ref();
        let read = ClientTls::new(ClientTlsPem {
            root_certificates: roots.as_deref(),
            identity: identity.map(|(certificate, key)| (certificate.as_str(), key.as_str())),
        });
        let help = "write `-----BEGIN CERTIFICATE-----` and so on, after `|`";
        read.map(drop)
            .map_err(|error| (Code::WRONG_FORM, format!("`clientTLS`: {error}"), help))
    }
}
