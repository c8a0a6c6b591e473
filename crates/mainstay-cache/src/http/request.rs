//! Requests: which may be answered from a cache, and under which key.

use std::fmt::Write as _;

use ::http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request as HttpRequest, Response, StatusCode, header,
};
use bytes::Bytes;
use ring::digest::{Context, SHA256};

use super::control::Control;
use super::{CACHE_HEADER, Rules, Stored};
use crate::cache::Cached;
use crate::port::Selection;

/// Between the parts of a key; neither a path nor a method can contain it.
const SEPARATOR: char = '\n';

/// Bytes of the hash of varying headers that go into the key: enough that nobody finds two that collide.
const HASH_BYTES: usize = 16;

/// What to do with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// Make the call as if there were no cache.
    Pass(Bypass),
    /// Ask the cache.
    Cached(Request),
}

/// Why a request is none of the cache's business.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Bypass {
    /// Neither `GET` nor `HEAD`.
    Method,
    /// It has a body.
    Body,
    /// It carries `authorization` or `cookie`, which the declaration does not name in `vary`.
    Credentials,
    /// It asks for a part, sets a condition that only the callee can judge, or asks for another protocol.
    Special,
    /// It says `no-store`.
    NoStore,
}

/// A request that a cache may answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What to ask the cache for.
    pub key: String,
    /// Whether the client wants no old answer: [`Cache::reload`](crate::Cache::reload).
    pub reload: bool,
    /// The answer that the client has already.
    if_none_match: Option<HeaderValue>,
}

/// The declared headers, and `accept-encoding`, on which nearly every server lets its answers depend.
pub(super) fn with_encoding(vary: &[HeaderName]) -> Vec<HeaderName> {
    let mut names = vary.to_vec();
    names.push(header::ACCEPT_ENCODING);
    names.sort_by(|left, right| left.as_str().cmp(right.as_str()));
    names.dedup();
    names
}

impl Rules {
    /// Judges a request: its head, with the path that the callee will see.
    pub fn plan<B>(&self, request: &HttpRequest<B>) -> Plan {
        match self.bypass(request) {
            Some(reason) => Plan::Pass(reason),
            None => Plan::Cached(Request {
                key: self.key(request),
                reload: wants_reload(request.headers()),
                if_none_match: request.headers().get(header::IF_NONE_MATCH).cloned(),
            }),
        }
    }

    fn bypass<B>(&self, request: &HttpRequest<B>) -> Option<Bypass> {
        let headers = request.headers();
        let has = |names: &[HeaderName]| names.iter().any(|name| headers.contains_key(name));
        let is_undeclared = |name: &HeaderName| headers.contains_key(name) && !self.vary.contains(name);
        let has_length = headers
            .get(header::CONTENT_LENGTH)
            .is_some_and(|length| length != "0");
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            Some(Bypass::Method)
        } else if has_length || has(&[header::TRANSFER_ENCODING]) {
            Some(Bypass::Body)
        } else if is_undeclared(&header::AUTHORIZATION) || is_undeclared(&header::COOKIE) {
            Some(Bypass::Credentials)
        } else if has(&[
            header::RANGE,
            header::IF_RANGE,
            header::IF_MATCH,
            header::IF_UNMODIFIED_SINCE,
            header::UPGRADE,
        ]) {
            Some(Bypass::Special)
        } else {
            Control::of(headers).no_store.then_some(Bypass::NoStore)
        }
    }

    /// `target /path?query`, the method, and a hash of what varies, which may be secret.
    fn key<B>(&self, request: &HttpRequest<B>) -> String {
        let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let mut key = String::with_capacity(self.target.len() + path.len() + 8 + 2 * HASH_BYTES);
        key.push_str(&self.target);
        key.push(' ');
        key.push_str(path);
        key.push(SEPARATOR);
        key.push_str(request.method().as_str());
        let headers = request.headers();
        if self.vary.iter().any(|name| headers.contains_key(name)) {
            key.push(SEPARATOR);
            let hash = self.hash_of_varying(headers);
            for byte in hash.as_ref().iter().take(HASH_BYTES) {
                let _ = write!(key, "{byte:02x}");
            }
        }
        key
    }

    fn hash_of_varying(&self, headers: &HeaderMap) -> ring::digest::Digest {
        let mut hash = Context::new(&SHA256);
        for (index, name) in self.vary.iter().enumerate() {
            for value in headers.get_all(name) {
                // Numbers of a fixed length, so that no other headers read the same.
                hash.update(&(index as u64).to_le_bytes());
                hash.update(&(value.len() as u64).to_le_bytes());
                hash.update(value.as_bytes());
            }
        }
        hash.finish()
    }

    /// Every answer for a path, whatever its query, its method and what varies. With `below`, also those for all paths that
    /// begin with it.
    pub fn selections(&self, path: &str, below: bool) -> Vec<Selection> {
        let target = &self.target;
        if below {
            return vec![Selection::Prefix(format!("{target} {path}"))];
        }
        ['?', SEPARATOR]
            .map(|end| Selection::Prefix(format!("{target} {path}{end}")))
            .into()
    }

    /// Every answer of the target.
    pub fn everything(&self) -> Selection {
        Selection::Prefix(format!("{} ", self.target))
    }
}

/// `no-cache` and `max-age=0` ask for what the callee says now (RFC 9111, 5.2.1).
fn wants_reload(headers: &HeaderMap) -> bool {
    let control = Control::of(headers);
    control.no_cache || control.max_age.is_some_and(|age| age.is_zero())
}

impl Request {
    /// Makes the head of the client's request one whose answer is for everybody: a condition would be answered with
    /// "you have it already".
    pub fn prepare(headers: &mut HeaderMap) {
        headers.remove(header::IF_NONE_MATCH);
        headers.remove(header::IF_MODIFIED_SINCE);
    }

    /// The answer to the client: what was stored, its age, and where it came from. 304 when the client has it already.
    pub fn answer(&self, cached: Cached<Stored>) -> Response<Bytes> {
        let Cached { value, status, age } = cached;
        let age = value.age_at_load().saturating_add(age);
        let is_known = value.status() == StatusCode::OK && self.knows(value.headers());
        let mut response = value.into_response();
        if is_known {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            *response.body_mut() = Bytes::new();
            response.headers_mut().remove(header::CONTENT_LENGTH);
        }
        let headers = response.headers_mut();
        if status != mainstay_base::CacheStatus::Miss || !age.is_zero() {
            headers.insert(header::AGE, HeaderValue::from(age.as_secs()));
        }
        headers.insert(CACHE_HEADER, HeaderValue::from_static(status.as_str()));
        response
    }

    /// Whether the client named this answer: the weak comparison of RFC 9110, 13.1.2.
    fn knows(&self, headers: &HeaderMap) -> bool {
        let opaque = |etag: &[u8]| etag.strip_prefix(b"W/").unwrap_or(etag).to_vec();
        let (Some(known), Some(etag)) = (&self.if_none_match, headers.get(header::ETAG)) else {
            return false;
        };
        let etag = opaque(etag.as_bytes());
        known
            .as_bytes()
            .split(|byte| *byte == b',')
            .map(<[u8]>::trim_ascii)
            .any(|listed| listed == b"*" || opaque(listed) == etag)
    }
}
