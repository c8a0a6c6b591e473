//! What every hop does to headers.

use http::header::{
    CONNECTION, EXPECT, Entry, FORWARDED, HOST, HeaderMap, HeaderName, HeaderValue, PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION, TE, TRANSFER_ENCODING, UPGRADE,
};

use http::request::Parts;
use mainstay_base::Priority;

use crate::edge::{Client, Edge};

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");
const PROXY_CONNECTION: HeaderName = HeaderName::from_static("proxy-connection");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const DAPR_CALLER_APP_ID: HeaderName = HeaderName::from_static("dapr-caller-app-id");
const DAPR_CALLER_NAMESPACE: HeaderName = HeaderName::from_static("dapr-caller-namespace");
const DAPR_CALLEE_APP_ID: HeaderName = HeaderName::from_static("dapr-callee-app-id");
const MAINSTAY_PRIORITY: HeaderName = HeaderName::from_static("mainstay-priority");
const DAPR_API_TOKEN: HeaderName = HeaderName::from_static("dapr-api-token");
pub(crate) const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The only namespace there is outside Kubernetes.
const NAMESPACE: HeaderValue = HeaderValue::from_static("default");
/// Apps call over the loopback interface.
const LOOPBACK: HeaderValue = HeaderValue::from_static("127.0.0.1");
const LOOPBACK_FORWARDED: HeaderValue = HeaderValue::from_static("for=127.0.0.1;by=_mainstay;proto=http");
const HTTP: HeaderValue = HeaderValue::from_static("http");
const TRAILERS: HeaderValue = HeaderValue::from_static("trailers");

/// The headers that this hop adds to a request, or a few less.
pub(crate) const ADDED: usize = 12;

/// Takes out what is meant for this connection only (RFC 9110, 7.6.1) and what `connection` names, in both directions.
/// `te: trailers` stays: this hop passes trailers on, and gRPC insists on it.
pub(crate) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let mut lines = headers.get_all(CONNECTION).iter();
    if lines.any(|line| !matches!(line.as_bytes(), b"keep-alive" | b"close")) {
        let named: Vec<_> = headers.get_all(CONNECTION).iter().flat_map(named_by).collect();
        for name in named {
            headers.remove(name);
        }
    }
    // Looking at the few that there are is much cheaper than looking for each that there might be.
    while let Some(name) = first_hop_by_hop(headers) {
        headers.remove(name);
    }
}

/// The headers that `connection` names, but for the usual words, which name none or one that goes in any case.
fn named_by(connection: &HeaderValue) -> impl Iterator<Item = HeaderName> {
    let words = connection.to_str().unwrap_or_default().split(',').map(str::trim);
    let usual = ["keep-alive", "close", "upgrade", "te"];
    words
        .filter(move |word| !usual.iter().any(|usual| word.eq_ignore_ascii_case(usual)))
        .filter_map(|word| HeaderName::try_from(word).ok())
}

fn first_hop_by_hop(headers: &HeaderMap) -> Option<HeaderName> {
    let found = headers.iter().find(|(name, value)| match **name {
        // `100 Continue`, which `expect` asks for, was this hop's to answer.
        CONNECTION | PROXY_AUTHENTICATE | PROXY_AUTHORIZATION | TRANSFER_ENCODING | UPGRADE | EXPECT => true,
        TE => *value != TRAILERS,
        _ => **name == KEEP_ALIVE || **name == PROXY_CONNECTION,
    });
    found.map(|(name, _)| name.clone())
}

/// Tells the callee who calls whom, in place of whatever the caller says about that; proves it with the callee's token.
pub(crate) fn introduce(headers: &mut HeaderMap, edge: &Edge) {
    headers.insert(DAPR_CALLER_APP_ID, edge.headers.caller.clone());
    headers.insert(DAPR_CALLER_NAMESPACE, NAMESPACE);
    headers.insert(DAPR_CALLEE_APP_ID, edge.headers.callee.clone());
    match &edge.callee.token {
        Some(token) => {
            headers.insert(DAPR_API_TOKEN, token.clone());
        }
        None => {
            headers.remove(DAPR_API_TOKEN);
        }
    }
    for (name, value) in &edge.callee.headers {
        headers.insert(name, value.clone());
    }
}

/// The priority that an app names for its call. Whoever comes through a front door has no say.
pub(crate) fn priority(headers: &HeaderMap, client: Option<&Client>) -> Option<Priority> {
    if client.is_some() {
        return None;
    }
    let word = headers.get(MAINSTAY_PRIORITY)?.to_str().ok()?;
    Priority::from_word(word)
}

/// Tells the callee how much the call matters, so that it can pass that on with the calls it makes for it. The usual
/// priority goes without saying.
pub(crate) fn prioritize(headers: &mut HeaderMap, priority: Priority) {
    if priority == Priority::default() {
        headers.remove(MAINSTAY_PRIORITY);
    } else {
        headers.insert(MAINSTAY_PRIORITY, HeaderValue::from_static(priority.as_str()));
    }
}

/// Marks a value that no other request has: HTTP/2 then sends it without remembering it (RFC 7541, 6.2.3). Remembered, such
/// values push those out of the table that every request has.
pub(crate) fn once(mut value: HeaderValue) -> HeaderValue {
    value.set_sensitive(true);
    value
}

/// Gives a request of HTTP/2, which names its host elsewhere, a `host` like any other.
pub(crate) fn name_host(head: &mut Parts) {
    if head.headers.contains_key(HOST) {
        return;
    }
    let host = head
        .uri
        .authority()
        .map(|authority| HeaderValue::from_str(authority.as_str()));
    if let Some(Ok(host)) = host {
        head.headers.insert(HOST, host);
    }
}

/// Tells the callee who asked: a front door replaces what its client claims, an app's claims are added to.
pub(crate) fn forward(headers: &mut HeaderMap, client: Option<&Client>) {
    let host = headers.get(HOST).cloned();
    if let Some(client) = client {
        headers.insert(X_FORWARDED_FOR, client.address.clone());
        headers.insert(FORWARDED, client.forwarded.clone());
        headers.insert(X_FORWARDED_PROTO, HTTP);
        if let Some(host) = host {
            headers.insert(X_FORWARDED_HOST, host);
        }
        return;
    }
    append(headers, X_FORWARDED_FOR, LOOPBACK);
    append(headers, FORWARDED, LOOPBACK_FORWARDED);
    headers.entry(X_FORWARDED_PROTO).or_insert(HTTP);
    if let Some(host) = host {
        headers.entry(X_FORWARDED_HOST).or_insert(host);
    }
}

/// Adds `value` at the end of a comma-separated list.
fn append(headers: &mut HeaderMap, name: HeaderName, value: HeaderValue) {
    match headers.entry(name) {
        Entry::Vacant(vacant) => {
            vacant.insert(value);
        }
        Entry::Occupied(mut occupied) => {
            let lines = occupied.iter().map(HeaderValue::as_bytes);
            let list: Vec<_> = lines.chain([value.as_bytes()]).collect();
            if let Ok(list) = HeaderValue::from_bytes(&list.join(&b", "[..])) {
                occupied.insert(list);
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Headers of these names and values.
    pub(crate) fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    #[test]
    fn the_callee_learns_how_much_a_call_matters() {
        let mut headers = HeaderMap::new();
        prioritize(&mut headers, Priority::Critical);
        assert_eq!(priority(&headers, None), Some(Priority::Critical));
        prioritize(&mut headers, Priority::Bulk);
        assert_eq!(priority(&headers, None), Some(Priority::Bulk));
        prioritize(&mut headers, Priority::Normal);
        assert_eq!(
            priority(&headers, None),
            None,
            "the usual one goes without saying"
        );
    }
}
