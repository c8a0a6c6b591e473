//! Calls over HTTP: which requests a declared cache of an edge may answer, and which answers it may keep (RFC 9111).
//!
//! ```text
//!   CallCache::call(request, call)
//!       │
//!   Rules::plan ──┬─ Plan::Pass ─────────────────────────────────────> call ──> answer
//!                 └─ Plan::Cached ── Cache::get_or_load(key, loader)
//!                                        │   loader: Request::prepare, call, Rules::take
//!   answer <── Request::answer ──────────┤   from the cache, or just loaded for all who waited
//!   answer <── the callee's own body ────┘   Loaded::Private
//! ```
//!
//! It is a shared cache in the terms of RFC 9111. It is stricter where a mistake would show one client's answer to another,
//! and it never keeps anything for longer than was declared.

mod answer;
mod body;
mod calls;
mod control;
mod request;
mod stored;

use std::time::Duration;

use ::http::{HeaderName, Response, header};
use bytes::Bytes;
use mainstay_base::limits::MAX_BODY_BYTES;

use crate::cache::Loaded;
use crate::policy::Lifetime;
use crate::settings::Settings;

pub use answer::Unstorable;
pub use body::Resumed;
pub use calls::{CallCache, Served};
pub use request::{Bypass, Plan, Request};
pub use stored::{Stored, StoredCodec};

use answer::{Judgement, judge};
use body::Collected;

/// Says where an answer came from: `hit`, `refresh`, `stale` or `miss`.
pub const CACHE_HEADER: HeaderName = HeaderName::from_static("mainstay-cache");

/// How long the body of an answer that could be kept may take; a slower one is passed on as it comes.
const BODY_PATIENCE: Duration = Duration::from_secs(2);

/// What a declared cache does with the calls of one target.
#[derive(Clone, Debug)]
pub struct Rules {
    target: String,
    /// Request headers that are part of the key, sorted.
    vary: Vec<HeaderName>,
    found: Lifetime,
    absent: Lifetime,
    max_body_bytes: usize,
}

impl Rules {
    /// The rules for calls of `target`. A body may take a quarter of the cache's room at most, and no more than 4 MiB.
    pub fn new(target: impl Into<String>, settings: &Settings) -> Self {
        let quarter = usize::try_from(settings.max_bytes() / 4).unwrap_or(usize::MAX);
        Self {
            target: target.into(),
            vary: request::with_encoding(settings.vary()),
            found: settings.found(),
            absent: settings.absent(),
            max_body_bytes: MAX_BODY_BYTES.min(quarter),
        }
    }

    /// Reads the answer of a callee: what a loader gives to the cache, and why it may not be kept, if so.
    ///
    /// An answer for everybody is collected; one that may not be kept, is too large or takes too long is passed on to the one
    /// who asked as it comes. An answer that tells of a failure (500, 502, 503, 504: RFC 5861, 4), or that stands in for one,
    /// gives way to what is stale.
    ///
    /// Not cancel safe: dropped, the answer is lost.
    ///
    /// # Errors
    /// When the body broke off.
    pub async fn take<B>(&self, response: Response<B>) -> Result<Taken<B>, B::Error>
    where
        B: http_body::Body<Data = Bytes> + Unpin,
    {
        let (mut head, body) = response.into_parts();
        let judgement = judge(&head, self);
        if let Judgement::Private(reason) = judgement {
            let response = Response::from_parts(head, Resumed::untouched(body));
            return Ok((Loaded::Private(response), Some(reason)));
        }
        let whole = match body::collect(body, self.max_body_bytes, BODY_PATIENCE).await? {
            Collected::Whole(bytes) => bytes,
            Collected::Part(reason, resumed) => {
                let response = Response::from_parts(head, resumed);
                return Ok((Loaded::Private(response), Some(reason)));
            }
        };
        let loaded = if let Judgement::Storable(lifetime) = judgement {
            Loaded::Value(Stored::new(head, whole), lifetime)
        } else {
            // Others who wait get it too.
            head.headers.remove(header::SET_COOKIE);
            Loaded::Failure(Stored::new(head, whole))
        };
        Ok((loaded, None))
    }
}

/// What [`Rules::take`] gives.
pub type Taken<B> = (Loaded<Stored, Response<Resumed<B>>>, Option<Unstorable>);

#[cfg(test)]
mod tests;
