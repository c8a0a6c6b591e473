//! `HTTPEndpoint`: an external service with a name.

use http::{HeaderName, HeaderValue, Uri};
use mainstay_base::AppId;

use super::file::{Header, HttpEndpoint};
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
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
    /// Who may call it; everyone when empty.
    pub(crate) scopes: Vec<String>,
    /// Where it is written.
    pub(crate) place: Place,
}

impl Endpoint {
    pub(super) fn read(
        file: &HttpEndpoint,
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
        if file.spec.client_tls.is_some() {
            let message = "a client certificate (`clientTLS`) is not supported yet".to_owned();
            let help =
                "servers with a certificate of a public authority need none; for others, a proxy in between";
            error(Code::UNSUPPORTED, &["spec", "clientTLS"], message, help);
        }
        let mut headers = Vec::new();
        for (index, header) in file.spec.headers.iter().enumerate() {
            match read_header(header, environment) {
                Ok(read) => headers.push(read),
                Err((code, message, help)) => {
                    error(code, &["spec", "headers", &index.to_string()], message, help);
                }
            }
        }
        if file.auth.is_some() {
            let message = "`auth` is not used: this version has no secret stores";
            let place = document.find(&["auth"]);
            diagnostics.push(Diagnostic::error(Code::NOT_USED, place, message).note());
        }
        Some(Self {
            name: name.ok()?,
            url: url?,
            headers,
            scopes: file.scopes.clone(),
            place: document.find(&["metadata", "name"]),
        })
    }
}

type Problem = (Code, String, &'static str);

fn read_header(
    header: &Header,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<(HeaderName, HeaderValue), Problem> {
    let name = &header.name;
    if header.secret_key_ref.is_some() {
        let message =
            format!("the header `{name}` takes its value from a secret store, which is not supported yet");
        return Err((
            Code::UNSUPPORTED,
            message,
            "take it from the environment with `envRef`",
        ));
    }
    let value = match (&header.value, &header.env_ref) {
        (Some(value), None) => value.0.clone(),
        (None, Some(variable)) => environment(variable).ok_or_else(|| {
            let message = format!("the variable `{variable}` of the header `{name}` is not set");
            (
                Code::UNDEFINED_VARIABLE,
                message,
                "set it in the environment of Mainstay",
            )
        })?,
        _ => {
            let message = format!("the header `{name}` has no value, or two");
            return Err((
                Code::CONTRADICTION,
                message,
                "give exactly one of `value` and `envRef`",
            ));
        }
    };
    let malformed = || {
        let message = format!("`{name}` with its value is not a header");
        (
            Code::WRONG_FORM,
            message,
            "names are letters, digits and `-`; values have no line breaks",
        )
    };
    let name = HeaderName::from_bytes(header.name.as_bytes()).map_err(|_| malformed())?;
    let mut value = HeaderValue::from_str(&value).map_err(|_| malformed())?;
    // Such headers often carry credentials.
    value.set_sensitive(true);
    Ok((name, value))
}
