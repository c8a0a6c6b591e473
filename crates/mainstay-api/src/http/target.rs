//! Who is invoked, and with which path: the five ways in which Dapr lets a caller say it.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{AUTHORIZATION, HeaderMap, HeaderName};
use http::uri::PathAndQuery;
use mainstay_mesh::Target;

use super::path::{self, InvalidEscape, Plus};

/// Names the callee, in a header of HTTP or in the metadata of gRPC.
pub(crate) static APP_ID: HeaderName = HeaderName::from_static("dapr-app-id");

/// An invocation, decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invocation {
    /// The callee as the caller wrote it, for messages.
    pub(crate) id: String,
    /// The callee.
    pub(crate) target: Target,
    /// What the callee is asked for.
    pub(crate) path_and_query: PathAndQuery,
}

/// A request that cannot be made an invocation.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidInvocation {
    /// It names no callee.
    #[error("failed getting app id either from the URL path or the header dapr-app-id")]
    NoAppId,
    /// The URL cannot be decoded.
    #[error("invalid request: {0}")]
    Escape(#[from] InvalidEscape),
    /// The callee's name or the method cannot be.
    #[error("failed to invoke, id: {id}, err: {reason}")]
    Invalid {
        /// The callee as the caller wrote it.
        id: String,
        /// What is wrong.
        reason: String,
    },
}

/// Finds the callee and the method in a request: the header `dapr-app-id`, else `authorization: Basic` with the user
/// `dapr-app-id`, else `/v1.0/invoke/{id}/method/{method}`.
///
/// Never panics, whatever the input.
pub(crate) fn decode(
    path: &str,
    query: Option<&str>,
    headers: &HeaderMap,
) -> Result<Invocation, InvalidInvocation> {
    if let Some(id) = app_id(headers) {
        let method = path::decode(path.as_bytes(), Plus::Literal)?;
        return invocation(id, &method, query);
    }
    if let Some((id, method)) = plain_form(path) {
        return invocation(id.to_owned(), method.as_bytes(), query);
    }
    let decoded = path::decode(path.as_bytes(), Plus::Literal)?;
    let (id, method) = path_form(&decoded).ok_or(InvalidInvocation::NoAppId)?;
    invocation(id, method, query)
}

/// The callee that a header names.
fn app_id(headers: &HeaderMap) -> Option<String> {
    let named = headers.get(&APP_ID).filter(|value| !value.is_empty());
    if let Some(value) = named {
        return Some(String::from_utf8_lossy(value.as_bytes()).into_owned());
    }
    let encoded = headers.get(AUTHORIZATION)?.as_bytes().strip_prefix(b"Basic ")?;
    let decoded = String::from_utf8(STANDARD.decode(encoded).ok()?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    let meant = user.eq_ignore_ascii_case(APP_ID.as_str()) && !password.is_empty() && !password.contains(':');
    meant.then(|| password.to_owned())
}

/// The path form as nearly every caller writes it, without anything to decode or to clean in the callee's name.
fn plain_form(path: &str) -> Option<(&str, &str)> {
    let (id, method) = path.strip_prefix("/v1.0/invoke/")?.split_once("/method/")?;
    let plain = !id.is_empty() && !id.contains('/') && !id.contains('+') && !path.contains('%');
    plain.then_some((id, method))
}

/// The path form in general. The callee may be a URL, and its slashes may or may not be escaped once more.
fn path_form(decoded: &[u8]) -> Option<(String, &[u8])> {
    const METHOD: &[u8] = b"/method/";
    let mut rest = decoded;
    for part in [&b"v1.0"[..], b"invoke"] {
        rest = strip_slashes(rest).strip_prefix(part)?;
        rest.strip_prefix(b"/")?;
    }
    let rest = strip_slashes(rest);
    let end = rest.windows(METHOD.len()).position(|window| window == METHOD)?;
    let (id, method) = (rest.get(..end)?, rest.get(end + METHOD.len()..)?);
    let id = match path::decode(id, Plus::Space) {
        Ok(unescaped) if !unescaped.is_empty() => unescaped,
        _ => id.into(),
    };
    (!id.is_empty()).then(|| (String::from_utf8_lossy(&id).into_owned(), method))
}

fn strip_slashes(path: &[u8]) -> &[u8] {
    let slashes = path.iter().take_while(|byte| **byte == b'/').count();
    path.get(slashes..).unwrap_or_default()
}

fn invocation(id: String, method: &[u8], query: Option<&str>) -> Result<Invocation, InvalidInvocation> {
    let target = match target(&id) {
        Ok(target) => target,
        Err(reason) => return Err(InvalidInvocation::Invalid { id, reason }),
    };
    match path_and_query(method, query) {
        Ok(path_and_query) => Ok(Invocation {
            id,
            target,
            path_and_query,
        }),
        Err(reason) => Err(InvalidInvocation::Invalid {
            id,
            // The words in which gRPC for Go tells a status, which is what Dapr passes on here.
            reason: format!("rpc error: code = InvalidArgument desc = invalid method: {reason}"),
        }),
    }
}

/// The callee that `id` means: a URL, or the name of an app or external service with or without a namespace. There is
/// one namespace, so that it makes no difference.
///
/// # Errors
/// When it is none of these, in Dapr's words.
pub(crate) fn target(id: &str) -> Result<Target, String> {
    if id.starts_with("http://") || id.starts_with("https://") {
        return Ok(Target::Url(id.to_owned()));
    }
    let mut parts = id.split('.');
    match (parts.next(), parts.next(), parts.next()) {
        (None | Some(""), ..) => Err("app id is empty".to_owned()),
        (Some(name), _, None) => Ok(Target::Name(name.to_owned())),
        _ => Err(format!("invalid app id {id}")),
    }
}

/// What the callee is asked for: a decoded method, checked, cleaned and encoded, with the query as it came.
///
/// # Errors
/// When the method holds a character that none may hold, in Dapr's words.
pub(crate) fn path_and_query(method: &[u8], query: Option<&str>) -> Result<PathAndQuery, String> {
    if method.iter().any(|byte| matches!(byte, b'#' | b'?' | 0)) {
        return Err(format!(
            "method contains forbidden character: {}",
            path::quote(method)
        ));
    }
    if let Some(position) = method.iter().position(u8::is_ascii_control) {
        let method = path::quote(method);
        return Err(format!(
            "method contains control character at position {position}: {method}"
        ));
    }
    let mut text = path::rooted(method);
    if let Some(query) = query {
        text.push('?');
        text.push_str(query);
    }
    PathAndQuery::try_from(text).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests;
