//! The whole way of a call through a cache, for whoever makes calls.

use std::future::Future;
use std::sync::Arc;

use ::http::{Request as HttpRequest, Response};
use bytes::Bytes;
use http_body::Body;

use super::{Plan, Request, Resumed, Rules, Stored};
use crate::cache::{Answer, Cache};
use crate::error::CacheError;

/// The cache of an edge: its rules and its answers. Cheap to clone.
#[derive(Debug)]
pub struct CallCache<E>(Arc<Inner<E>>);

#[derive(Debug)]
struct Inner<E> {
    rules: Rules,
    answers: Cache<Stored, E>,
}

/// The body of an answer.
#[derive(Debug)]
pub enum Served<B> {
    /// All of it: from the cache, or for everybody who waited.
    Whole(Bytes),
    /// The callee's own: the request or the answer is none of the cache's business.
    Untouched(B),
    /// The callee's own, of which a part was read.
    Resumed(Resumed<B>),
}

impl<E: Clone + Send + Sync + 'static> CallCache<E> {
    /// The cache of an edge.
    pub fn new(rules: Rules, answers: Cache<Stored, E>) -> Self {
        Self(Arc::new(Inner { rules, answers }))
    }

    /// Answers `request`, whose path is the one that the callee will see. `call` makes the call, at most once; `broken` is the
    /// error of an answer whose body broke off while it was collected.
    ///
    /// The call may be made in a task of its own and outlive this future, or be made in the background while this answers
    /// from the cache; then nobody waits for its answer any more. What came from the cache says so in its headers.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    /// As [`Cache::get_or_load`].
    pub async fn call<R, B, C, F>(
        &self,
        mut request: HttpRequest<R>,
        broken: fn(B::Error) -> E,
        call: C,
    ) -> Result<Response<Served<B>>, CacheError<E>>
    where
        R: Send + 'static,
        B: Body<Data = Bytes, Error: Send> + Unpin + Send + 'static,
        C: FnOnce(HttpRequest<R>) -> F + Send + 'static,
        F: Future<Output = Result<Response<B>, E>> + Send + 'static,
    {
        let Inner { rules, answers } = &*self.0;
        let Plan::Cached(plan) = rules.plan(&request) else {
            answers.bypassed();
            let answer = call(request).await.map_err(CacheError::Load)?;
            return Ok(answer.map(Served::Untouched));
        };
        let inner = self.0.clone();
        let loader = move || async move {
            Request::prepare(request.headers_mut());
            let answer = call(request).await?;
            let (loaded, reason) = inner.rules.take(answer).await.map_err(broken)?;
            if let Some(reason) = reason {
                inner.answers.unstorable(reason);
            }
            Ok(loaded)
        };
        let answer = if plan.reload {
            answers.reload(&plan.key, loader).await?
        } else {
            answers.get_or_load(&plan.key, loader).await?
        };
        Ok(match answer {
            Answer::Shared(cached) => plan.answer(cached).map(Served::Whole),
            Answer::Private(own) => own.map(|body| match body.into_untouched() {
                Ok(untouched) => Served::Untouched(untouched),
                Err(resumed) => Served::Resumed(resumed),
            }),
        })
    }

    /// Its rules, to say what is to be forgotten.
    pub fn rules(&self) -> &Rules {
        &self.0.rules
    }

    /// Its answers, to forget them, and to end its tasks.
    pub fn answers(&self) -> &Cache<Stored, E> {
        &self.0.answers
    }
}

impl<E> Clone for CallCache<E> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}
