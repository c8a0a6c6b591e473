//! Many keys at once: what is fresh is given, the others are loaded together.

use std::future::Future;

use futures_util::future::join_all;
use mainstay_base::CacheStatus;

use super::marks::Mark;
use super::{Cache, Cached, Loaded, Look, Purpose};
use crate::error::CacheError;
use crate::policy::{Lifetime, Verdict};

/// What became of a key so far.
enum Place<V> {
    Given(Cached<V>),
    /// To be loaded.
    Missing(Look<V>),
}

impl<V, E> Cache<V, E>
where
    V: Clone + Send + Sync + 'static,
    E: Clone + Send + Sync + 'static,
{
    /// As [`Cache::get_or_load`] for each of these keys, in their order. `one` makes the loader of a key that is due for a
    /// refresh. `many` loads all that is not fresh, in one go and in its order; nobody else waits for that load.
    ///
    /// Cancel safe; a load ends when this is dropped.
    ///
    /// # Errors
    /// When the load failed and of one of its keys nothing stale is left.
    pub async fn get_or_load_many<One, L, F, Many, G>(
        &self,
        keys: &[String],
        one: One,
        many: Many,
    ) -> Result<Vec<Cached<V>>, CacheError<E>>
    where
        One: Fn(&str) -> L,
        L: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
        Many: FnOnce(Vec<String>) -> G,
        G: Future<Output = Result<Vec<(V, Lifetime)>, E>>,
    {
        let looks = join_all(keys.iter().map(|key| self.inner.look(key))).await;
        let looks = keys.iter().zip(looks);
        let places: Vec<Place<V>> = looks.map(|(key, look)| self.place(key, look, &one)).collect();
        let is_missing = |(_, place): &(&String, &Place<V>)| matches!(place, Place::Missing(_));
        let missing = keys.iter().zip(&places).filter(is_missing);
        let missing: Vec<String> = missing.map(|(key, _)| key.clone()).collect();
        if missing.is_empty() {
            return Ok(places.into_iter().filter_map(Place::given).collect());
        }
        let inner = &self.inner;
        inner.stats.loads(Purpose::Miss).add(missing.len() as u64);
        let started = inner.clock.now();
        let count = missing.len();
        let outcome = match tokio::time::timeout(inner.load_timeout, many(missing)).await {
            Ok(Ok(loaded)) if loaded.len() == count => Ok(loaded),
            // A loader with a defect.
            Ok(Ok(_)) => Err(CacheError::Interrupted),
            Ok(Err(error)) => Err(CacheError::Load(error)),
            Err(_) => Err(CacheError::Timeout(inner.load_timeout)),
        };
        let mut loaded = outcome.map(Vec::into_iter);
        let mut answers = Vec::with_capacity(keys.len());
        for (key, place) in keys.iter().zip(places) {
            answers.push(match (place, &mut loaded) {
                (Place::Given(cached), _) => cached,
                (Place::Missing(look), Ok(loaded)) => {
                    let (value, lifetime) = loaded.next().ok_or(CacheError::Interrupted)?;
                    inner
                        .keep(key, value.clone(), (lifetime, started), look.fence)
                        .await;
                    inner.loaded(value)
                }
                (Place::Missing(look), Err(error)) => {
                    inner.mark_failed(key);
                    inner.stale(&look).ok_or_else(|| error.clone())?
                }
            });
        }
        Ok(answers)
    }

    /// Gives what is fresh, and what is stale of a key whose load has failed a moment ago.
    fn place<L, F>(&self, key: &str, mut look: Look<V>, one: impl Fn(&str) -> L) -> Place<V>
    where
        L: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<Loaded<V>, E>> + Send + 'static,
    {
        let inner = &self.inner;
        let is_fresh = look.verdict.is_fresh();
        if let Some(entry) = look.entry.take_if(|_| is_fresh) {
            let is_due = look.verdict == Verdict::RefreshAhead;
            let refreshes = is_due && inner.refresh(key, look.fence, one(key));
            let status = if refreshes {
                CacheStatus::Refresh
            } else {
                CacheStatus::Hit
            };
            return Place::Given(inner.give(entry, status));
        }
        if let Some(mark @ (Mark::Failed | Mark::Suspect)) = inner.marks.get(key, inner.clock.now())
            && let Some(stale) = inner.stale(&look)
        {
            if mark == Mark::Suspect {
                inner.refresh(key, look.fence, one(key));
            }
            return Place::Given(stale);
        }
        Place::Missing(look)
    }
}

impl<V> Place<V> {
    fn given(self) -> Option<Cached<V>> {
        match self {
            Self::Given(cached) => Some(cached),
            Self::Missing(_) => None,
        }
    }
}
