//! Which app answers a request at the front door. A pure function of host and path.

use std::cmp::Reverse;

use mainstay_base::AppId;

use super::Route;
use crate::http::path;

/// Routes in the order in which they are tried.
#[derive(Debug)]
pub(super) struct Routes {
    routes: Vec<Route>,
    /// Whether the host matters at all.
    name_hosts: bool,
}

impl Routes {
    pub(super) fn new(mut routes: Vec<Route>) -> Self {
        for route in &mut routes {
            if let Some(host) = &mut route.host {
                host.make_ascii_lowercase();
            }
            let cleaned = path::clean(route.path.as_bytes());
            route.path = String::from_utf8_lossy(&cleaned).into_owned();
        }
        // Exact hosts, then wildcards with the longest suffix, then any; among equals the longest path.
        routes.sort_by_key(|route| {
            let host = route.host.as_deref().unwrap_or_default();
            let wildcard = host.is_empty() || host.starts_with('*');
            (wildcard, Reverse(host.len()), Reverse(route.path.len()))
        });
        Self {
            name_hosts: routes.iter().any(|route| route.host.is_some()),
            routes,
        }
    }

    /// The app for a request to `authority` and `path`.
    pub(super) fn find(&self, authority: &str, path: &str) -> Option<&AppId> {
        let path = path::clean(path.as_bytes());
        let host = if self.name_hosts {
            host_name(authority)
        } else {
            String::new()
        };
        let found = self
            .routes
            .iter()
            .find(|route| matches_host(route.host.as_deref(), &host) && matches_path(&route.path, &path));
        found.map(|route| &route.app)
    }
}

fn matches_host(pattern: Option<&str>, host: &str) -> bool {
    let Some(pattern) = pattern else { return true };
    match pattern.strip_prefix('*') {
        // `*.example.org` stands for one or more labels in front.
        Some(suffix) => host.len() > suffix.len() && host.ends_with(suffix),
        None => host == pattern,
    }
}

fn matches_path(prefix: &str, path: &[u8]) -> bool {
    let prefix = prefix.strip_suffix('/').unwrap_or(prefix).as_bytes();
    let rest = path.strip_prefix(prefix);
    matches!(rest, Some([] | [b'/', ..]))
}

/// A host without its port and final dot, in lower case.
pub(super) fn host_name(authority: &str) -> String {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => authority,
    };
    host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn routes(routes: &[(&str, &str, &str)]) -> Routes {
        let route = |(host, path, app): &(&str, &str, &str)| Route {
            host: (!host.is_empty()).then(|| (*host).to_owned()),
            path: (*path).to_owned(),
            app: AppId::new(app).unwrap(),
        };
        Routes::new(routes.iter().map(route).collect())
    }

    #[test]
    fn the_most_specific_route_wins() {
        let routes = routes(&[
            ("", "/", "shop"),
            ("", "/api/", "api"),
            ("", "/api/orders", "orders"),
            ("*.Example.org", "/", "tenant"),
            ("*.eu.example.org", "/", "european"),
            ("admin.example.org", "/", "admin"),
        ]);
        for (host, path, app) in [
            ("", "/", "shop"),
            ("example.org", "/apix", "shop"),
            ("example.org", "/api", "api"),
            ("example.org", "/api/x", "api"),
            ("example.org", "/api/orders/1", "orders"),
            ("example.org", "//api//orders", "orders"),
            ("example.org", "/x/../api/orders", "orders"),
            ("ADMIN.example.org:8080", "/api", "admin"),
            ("a.example.org.", "/api", "tenant"),
            ("a.eu.example.org", "/", "european"),
            (".example.org", "/", "shop"),
        ] {
            let found = routes.find(&host_name(host), path).unwrap();
            assert_eq!(found.as_str(), app, "{host} {path}");
        }
    }

    #[test]
    fn without_a_route_there_is_no_app() {
        let routes = routes(&[("", "/api", "api"), ("shop.example", "/", "shop")]);
        assert_eq!(routes.find("other.example", "/"), None);
        assert_eq!(routes.find("", "/apis"), None);
    }

    #[test]
    fn hosts_are_told_from_ports() {
        for (authority, host) in [
            ("Example.ORG", "example.org"),
            ("a:80", "a"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
            ("", ""),
        ] {
            assert_eq!(host_name(authority), host);
        }
    }

    proptest! {
        #[test]
        fn no_request_panics(host in ".{0,12}", path in ".{0,12}") {
            let _ = routes(&[("*.a", "/", "a"), ("", "/b", "b")]).find(&host_name(&host), &path);
        }
    }
}
