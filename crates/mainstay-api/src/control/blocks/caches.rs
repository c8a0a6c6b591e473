//! `/api/caches` and `/api/caches/NAME/invalidate`

use http::{Method, Response, StatusCode};
use mainstay_cache::http::CallCache;
use mainstay_cache::state::StateCache;
use mainstay_cache::{Report, Selection, Settings, StoreError, Usage};
use mainstay_mesh::{Body, CallError};

use super::{Question, Refusal, bounded};
use crate::blocks::StateComponent;
use crate::control::Control;
use crate::{reply, wire};

impl Control {
    /// Every cache there is.
    pub(super) fn caches(&self) -> wire::Caches {
        let calls = self.options.call_caches.iter().map(|cache| {
            let answers = cache.answers();
            let kind = wire::CacheKind::Calls;
            told(answers.name(), kind, answers.settings(), &answers.report())
        });
        let state = self.options.blocks.state.iter().filter_map(|(name, component)| {
            let cache = component.cache.as_ref()?;
            let kind = wire::CacheKind::State;
            Some(told(name, kind, cache.settings(), &cache.report()))
        });
        let mut caches: Vec<wire::Cache> = calls.chain(state).collect();
        caches.sort_by(|left, right| left.name.cmp(&right.name));
        wire::Caches { caches }
    }

    /// Answers what is asked of one of them.
    pub(super) async fn cache(&self, question: &Question) -> Result<Response<Body>, Refusal> {
        match (&question.method, question.rest().as_slice()) {
            (&Method::POST, ["invalidate"]) => {}
            (_, ["invalidate"]) => return Ok(question.unanswered(Some("POST"))),
            _ => return Ok(question.unanswered(None)),
        }
        let (calls, state) = (self.call_cache(question), self.state_cache(question));
        let what = What::of(question)?;
        match (calls, state) {
            (Some(cache), _) => invalidate_calls(cache, question, what).await?,
            (None, Some((component, cache))) => {
                self.invalidate_state(component, cache, question, what).await?;
            }
            (None, None) => {
                let names: Vec<String> = self.caches().caches.into_iter().map(|cache| cache.name).collect();
                return Err(Refusal::unknown_cache(&question.component, &names));
            }
        }
        Ok(reply::empty(StatusCode::NO_CONTENT))
    }

    fn call_cache(&self, question: &Question) -> Option<&CallCache<CallError>> {
        let mut caches = self.options.call_caches.iter();
        caches.find(|cache| cache.answers().name() == question.component)
    }

    fn state_cache(&self, question: &Question) -> Option<(&StateComponent, &StateCache)> {
        let component = self.options.blocks.state.get(&question.component)?;
        Some((component, component.cache.as_ref()?))
    }

    /// By the keys of the component, or as an app calls them.
    async fn invalidate_state(
        &self,
        component: &StateComponent,
        cache: &StateCache,
        question: &Question,
        what: What<'_>,
    ) -> Result<(), Refusal> {
        question.takes(&["key", "prefix", "app"])?;
        let naming = self.naming(question, component)?;
        let selection = match what {
            What::Key(key) => Selection::Key(naming.full_key(key)?),
            What::Prefix(prefix) => Selection::Prefix(naming.prefix() + prefix),
            What::Everything => Selection::Prefix(naming.prefix()),
        };
        let selection = match selection {
            Selection::Prefix(prefix) if prefix.is_empty() => Selection::All,
            selection => selection,
        };
        bounded(cache.invalidate(selection)).await
    }
}

/// By paths: an answer for a path goes whatever its query.
async fn invalidate_calls(
    cache: &CallCache<CallError>,
    question: &Question,
    what: What<'_>,
) -> Result<(), Refusal> {
    question.takes(&["key", "prefix"])?;
    let (What::Key(path) | What::Prefix(path)) = what else {
        return bounded(cache.answers().invalidate(Selection::All)).await;
    };
    if !path.starts_with('/') {
        return Err(Refusal::malformed(format!(
            "`{path}` is not a path: what is kept of calls is named by its path, such as /products"
        )));
    }
    let below = matches!(what, What::Prefix(_));
    let selections = cache.rules().selections(path, below);
    bounded(cache.answers().invalidate_all(selections)).await
}

/// What is to be forgotten.
#[derive(Clone, Copy)]
enum What<'a> {
    Key(&'a str),
    Prefix(&'a str),
    Everything,
}

impl<'a> What<'a> {
    fn of(question: &'a Question) -> Result<Self, Refusal> {
        let (key, prefix) = (question.parameters.get("key"), question.parameters.get("prefix"));
        match (key, prefix) {
            (Some(_), Some(_)) => Err(Refusal::malformed("name a `key` or a `prefix`, not both")),
            (Some(""), None) => Err(Refusal::malformed("the `key` is empty")),
            (Some(key), None) => Ok(Self::Key(key)),
            (None, Some(prefix)) => Ok(Self::Prefix(prefix)),
            (None, None) => Ok(Self::Everything),
        }
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Self::of(
            error.kind(),
            format!("{error}; this process forgets before it reads from there again"),
        )
    }
}

fn told(name: &str, kind: wire::CacheKind, settings: &Settings, report: &Report) -> wire::Cache {
    let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let usage = |figure: fn(Usage) -> u64| report.usage.map(figure);
    wire::Cache {
        name: name.to_owned(),
        kind,
        ttl_ms: millis(settings.found().ttl),
        stale_ms: millis(settings.found().stale),
        hit_ratio: report.hit_ratio(),
        hits: report.hits,
        stale: report.stale,
        misses: report.misses,
        passed: report.passed,
        load_failures: report.load_failures,
        invalidations: report.invalidations,
        store_errors: report.store_errors,
        entries: usage(|usage| usage.entries),
        bytes: usage(|usage| usage.bytes),
        max_bytes: report.usage.map(|_| settings.max_bytes()),
        evictions: usage(|usage| usage.evictions),
    }
}
