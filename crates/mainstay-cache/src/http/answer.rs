//! Answers: which may be kept, and for how long.

use std::time::{Duration, SystemTime};

use ::http::response::Parts;
use ::http::{HeaderMap, HeaderName, HeaderValue, header};

use super::Rules;
use super::control::{Control, seconds_of};
use crate::policy::Lifetime;

/// Marks an answer that the mesh made up for one that is missing.
const FALLBACK: HeaderName = HeaderName::from_static("mainstay-fallback");

/// Why an answer may not be kept for everybody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unstorable {
    /// Not one of 200, 203, 204, 300, 301, 404 and 410.
    Status,
    /// `cache-control` says so.
    Control,
    /// It has expired already.
    Expired,
    /// It sets a cookie.
    Cookie,
    /// It depends on a request header that the declaration does not name in `vary`.
    Vary,
    /// It is a stream of events.
    Stream,
    /// Its body is too large.
    TooLarge,
    /// Its body takes too long.
    TooSlow,
    /// It ends with trailers.
    Trailers,
}

impl Unstorable {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Status,
        Self::Control,
        Self::Expired,
        Self::Cookie,
        Self::Vary,
        Self::Stream,
        Self::TooLarge,
        Self::TooSlow,
        Self::Trailers,
    ];

    /// The word in metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Control => "cache_control",
            Self::Expired => "expired",
            Self::Cookie => "set_cookie",
            Self::Vary => "vary",
            Self::Stream => "event_stream",
            Self::TooLarge => "too_large",
            Self::TooSlow => "too_slow",
            Self::Trailers => "trailers",
        }
    }
}

/// What an answer is good for, by its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Judgement {
    Storable(Lifetime),
    /// It tells that the callee failed.
    Failure,
    Private(Unstorable),
}

/// Judges the head of an answer.
pub(super) fn judge(head: &Parts, rules: &Rules) -> Judgement {
    let headers = &head.headers;
    let control = Control::of(headers);
    let declared = match head.status.as_u16() {
        500 | 502 | 503 | 504 => return Judgement::Failure,
        _ if headers.contains_key(FALLBACK) => return Judgement::Failure,
        200 | 203 | 204 | 300 | 301 => rules.found,
        404 | 410 => rules.absent,
        _ => return Judgement::Private(Unstorable::Status),
    };
    if control.no_store || control.no_cache || control.private {
        return Judgement::Private(Unstorable::Control);
    }
    if headers.contains_key(header::SET_COOKIE) {
        return Judgement::Private(Unstorable::Cookie);
    }
    if !varies_as_declared(headers, &rules.vary) {
        return Judgement::Private(Unstorable::Vary);
    }
    if is_event_stream(headers) {
        return Judgement::Private(Unstorable::Stream);
    }
    let lifetime = lifetime(declared, &control, headers);
    if lifetime.ttl.is_zero() {
        return Judgement::Private(Unstorable::Expired);
    }
    Judgement::Storable(lifetime)
}

/// The declared lifetime, or what the callee says if that is less.
fn lifetime(declared: Lifetime, control: &Control, headers: &HeaderMap) -> Lifetime {
    let told = control.shared_max_age.or(control.max_age);
    let told = told.or_else(|| expires_in(headers));
    let lifetime = match told {
        Some(told) => declared.fresh_at_most(told.saturating_sub(age_at_load(headers))),
        None => declared,
    };
    if control.must_revalidate {
        return lifetime.never_stale();
    }
    Lifetime {
        stale: control
            .stale_if_error
            .map_or(lifetime.stale, |told| lifetime.stale.min(told)),
        ..lifetime
    }
}

/// `expires` seen from `date`, so that no clock of this machine is needed. What cannot be read has expired (RFC 9111, 5.3).
fn expires_in(headers: &HeaderMap) -> Option<Duration> {
    let read = |name| -> Option<SystemTime> {
        let value: &HeaderValue = headers.get(name)?;
        httpdate::parse_http_date(value.to_str().ok()?).ok()
    };
    headers.get(header::EXPIRES)?;
    let (expires, date) = (read(header::EXPIRES), read(header::DATE));
    let left = expires
        .zip(date)
        .and_then(|(expires, date)| expires.duration_since(date).ok());
    Some(left.unwrap_or_default())
}

/// How old an answer was when it came, because it came from another cache.
pub(super) fn age_at_load(headers: &HeaderMap) -> Duration {
    seconds_of(headers, header::AGE).unwrap_or_default()
}

/// Whether all that an answer depends on is part of the key.
fn varies_as_declared(headers: &HeaderMap, declared: &[HeaderName]) -> bool {
    let listed = headers.get_all(header::VARY).into_iter();
    let mut names = listed.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    names.all(|name| {
        let name = name.trim_ascii();
        let is_declared = |known: &HeaderName| name.eq_ignore_ascii_case(known.as_str().as_bytes());
        name.is_empty() || declared.iter().any(is_declared)
    })
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.and_then(|kind| kind.get(..17))
        .is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/event-stream"))
}

/// Whether a header belongs to one connection and not to the answer (RFC 9110, 7.6.1), or is written anew.
pub(super) fn is_not_stored(name: &HeaderName) -> bool {
    *name == super::CACHE_HEADER
        || [
            header::CONNECTION,
            header::TE,
            header::TRAILER,
            header::TRANSFER_ENCODING,
            header::UPGRADE,
            header::PROXY_AUTHENTICATE,
            header::AGE,
        ]
        .contains(name)
        || matches!(name.as_str(), "keep-alive" | "proxy-connection")
}
