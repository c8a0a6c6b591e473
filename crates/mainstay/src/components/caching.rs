//! Caches before state components.

use std::sync::Arc;

use mainstay_api::Metrics;
use mainstay_base::SystemClock;
use mainstay_cache::state::{KeptCodec, Options, StateCache, weigh};
use mainstay_cache::{CacheStore, Declaration, Local, LocalOptions, RedisStore};
use mainstay_state::{StateStore, SystemWallClock};
use tokio::runtime::Handle;

use super::opened::Secrets;
use super::settings::Settings;
use crate::cache_servers::{CacheServers, is_redis};
use crate::document::form::{DurationForm, Form, PercentForm, PositiveDurationForm, SizeForm};
use crate::manifest::CachePlan;
use crate::resources::SettingValue;

/// A cache that can be opened.
#[derive(Clone, Debug)]
pub(super) struct StateCachePlan {
    settings: mainstay_cache::Settings,
    /// The URL of the Redis that keeps the values; this process when absent.
    redis: Option<SettingValue>,
}

/// What caches need from around them.
#[derive(Clone, Copy, Debug)]
pub(super) struct CacheParts<'a> {
    pub(super) servers: &'a CacheServers,
    pub(super) metrics: &'a Metrics,
}

impl StateCachePlan {
    /// As the manifest declares it.
    pub(super) fn declared(plan: CachePlan) -> Self {
        Self {
            settings: plan.settings,
            redis: plan.redis.map(SettingValue::Text),
        }
    }

    /// As a component file declares it; `None` when that has mistakes, which are told.
    #[expect(
        clippy::option_option,
        reason = "a cache that cannot be, one that is not declared, and one that is"
    )]
    pub(super) fn read(settings: &mut Settings<'_>) -> Option<Option<Self>> {
        let ttl = formed::<PositiveDurationForm>(settings, "cacheTTL");
        let declaration = Declaration {
            ttl: ttl.unwrap_or_default(),
            stale: formed::<DurationForm>(settings, "cacheStale"),
            refresh_percent: formed::<PercentForm>(settings, "cacheRefresh"),
            negative: formed::<DurationForm>(settings, "cacheNegative"),
            max_bytes: formed::<SizeForm>(settings, "cacheMax"),
            vary: Vec::new(),
        };
        let redis = settings.get("cacheRedis");
        if ttl.is_none() {
            let said = declaration != Declaration::default() || redis.is_some();
            if said {
                let message = "a cache is declared without `cacheTTL`: say how long a value is given again";
                settings.wrong_whole(message.to_owned());
            }
            return (!said).then_some(None);
        }
        if let Some(redis) = redis
            && matches!(&redis.value, SettingValue::Text(url) if !is_redis(url))
        {
            let message = "`cacheRedis` is not the URL of a Redis".to_owned();
            settings.wrong(&redis.place, message, "write redis://user:password@host:6379/0");
            return None;
        }
        match mainstay_cache::Settings::new(&declaration) {
            Ok(checked) => Some(Some(Self {
                settings: checked,
                redis: redis.map(|redis| redis.value.clone()),
            })),
            Err(problems) => {
                let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
                settings.wrong_whole(format!("the cache cannot be: {}", problems.join("; ")));
                None
            }
        }
    }

    /// Puts the cache before a component. A Redis need not be there: without it, the component is asked.
    pub(super) async fn open(
        &self,
        name: &str,
        component: Arc<dyn StateStore>,
        parts: CacheParts<'_>,
        secrets: &Secrets<'_>,
    ) -> Result<StateCache, String> {
        let clock = Arc::new(SystemClock::new());
        let store: Arc<dyn CacheStore<_>> = match &self.redis {
            Some(url) => {
                let url = secrets.value(url).await?;
                let server = parts.servers.get(&url).map_err(|error| error.to_string())?;
                Arc::new(RedisStore::new(server, name, KeptCodec))
            }
            None => Arc::new(Local::new(LocalOptions {
                max_bytes: self.settings.max_bytes(),
                weigh,
                clock: clock.clone(),
            })),
        };
        Ok(StateCache::new(Options {
            name: name.to_owned(),
            settings: self.settings.clone(),
            component,
            store,
            // All who share a Redis make it forget themselves.
            hears: self.redis.is_none(),
            clock,
            wall_clock: Arc::new(SystemWallClock),
            runtime: Handle::current(),
            metrics: parts.metrics.caches().clone(),
        }))
    }
}

/// A setting in a form of the manifest; tells what is wrong with it.
fn formed<F: Form>(settings: &mut Settings<'_>, name: &'static str) -> Option<F::Value> {
    let (text, place) = settings.text(name)?;
    match F::read(text) {
        Ok(value) => Some(value),
        Err(problem) => {
            let help = format!("for example {}", F::EXAMPLES.first().copied().unwrap_or_default());
            settings.wrong(place, format!("`{name}`: {problem}"), &help);
            None
        }
    }
}
