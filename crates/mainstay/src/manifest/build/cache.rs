//! What is kept of the answers of an edge, and of what a state store holds.

use mainstay_cache::{Declaration, Settings};

use super::Builder;
use crate::cache_servers::is_redis;
use crate::components::Said;
use crate::diagnostic::{Code, Diagnostic};
use crate::manifest::file;
use crate::manifest::interpolate::interpolate;
use crate::manifest::model::CachePlan;

impl Builder<'_> {
    /// Reads a `cache`; tells what is wrong with it.
    pub(super) fn cache(&mut self, path: &[&str], cache: &file::Cache) -> Option<CachePlan> {
        let declaration = Declaration {
            ttl: cache.ttl.0,
            stale: cache.stale.as_ref().map(|time| time.0),
            refresh_percent: cache.refresh.as_ref().map(|percent| percent.0),
            negative: cache.negative.as_ref().map(|time| time.0),
            max_bytes: cache.max.as_ref().map(|size| size.0),
            vary: cache.vary.clone(),
        };
        self.cache_plan(path, &declaration, cache.redis.as_deref())
    }

    /// Reads what is said of components.
    pub(super) fn components(&mut self) -> Vec<Said> {
        let mut said = Vec::new();
        for (name, component) in self.parsed.file.components.iter() {
            let path = ["components", name.as_str(), "cache"];
            let cache = component.cache.as_ref();
            let cache = cache.and_then(|cache| self.state_cache(&path, cache));
            said.push(Said {
                name: name.clone(),
                cache,
                place: self.place(&["components", name.as_str()]),
            });
        }
        said
    }

    fn state_cache(&mut self, path: &[&str], cache: &file::StateCache) -> Option<CachePlan> {
        let declaration = Declaration {
            ttl: cache.ttl.0,
            stale: cache.stale.as_ref().map(|time| time.0),
            refresh_percent: cache.refresh.as_ref().map(|percent| percent.0),
            negative: cache.negative.as_ref().map(|time| time.0),
            max_bytes: cache.max.as_ref().map(|size| size.0),
            vary: Vec::new(),
        };
        self.cache_plan(path, &declaration, cache.redis.as_deref())
    }

    fn cache_plan(
        &mut self,
        path: &[&str],
        declared: &Declaration,
        redis: Option<&str>,
    ) -> Option<CachePlan> {
        let redis = self.redis_url(path, redis);
        match Settings::new(declared) {
            Ok(settings) => Some(CachePlan {
                settings,
                redis: redis.ok()?,
            }),
            Err(problems) => {
                for problem in problems {
                    let place = self.place(&[path, &[problem.field()]].concat());
                    let error = Diagnostic::error(Code::OUT_OF_RANGE, place, problem.to_string());
                    self.diagnostics.push(error);
                }
                None
            }
        }
    }

    fn redis_url(&mut self, path: &[&str], url: Option<&str>) -> Result<Option<String>, ()> {
        let Some(url) = url else {
            return Ok(None);
        };
        let place = self.place(&[path, &["redis"]].concat());
        let wrong =
            |code, message: String, help: &str| Diagnostic::error(code, place.clone(), message).help(help);
        let error = match interpolate(url, self.environment) {
            Ok(url) if is_redis(&url) => return Ok(Some(url)),
            // What is written may hold a password, so it is not shown.
            Ok(_) => wrong(
                Code::WRONG_FORM,
                "`redis` is not the URL of a Redis".to_owned(),
                "write redis://user:password@host:6379/0, or rediss:// for TLS",
            ),
            Err(problem) => wrong(
                Code::UNDEFINED_VARIABLE,
                problem.to_string(),
                "set it in the environment of Mainstay",
            ),
        };
        self.diagnostics.push(error);
        Err(())
    }
}
