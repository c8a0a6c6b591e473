//! Dapr's fixed routes. They win over `dapr-app-id`; everything else is an invocation.

use http::Method;

use super::configuration::{self, ConfigurationRoute};
use super::lock::LockRoute;
use super::path::{self, InvalidEscape, Plus};
use super::secrets::SecretRoute;
use super::state::{Ask, StateRoute};
use super::unconfigured::{self, Unconfigured};

/// Where a request on the Dapr API goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// `GET healthz`.
    Healthz,
    /// `GET healthz/outbound`.
    HealthzOutbound,
    /// `GET metadata`.
    Metadata,
    /// `PUT metadata/{key}`.
    SetMetadata(String),
    /// `POST shutdown`.
    Shutdown,
    /// A configuration component.
    Configuration(ConfigurationRoute),
    /// A lock component.
    Lock(LockRoute),
    /// A secret component.
    Secrets(SecretRoute),
    /// A state component.
    State(StateRoute),
    /// A building block that does not exist here.
    Unconfigured(Unconfigured),
    /// Anything else, any method.
    Invoke,
}

impl Route {
    /// Whether it is open to those without a token.
    pub(crate) fn is_open(&self) -> bool {
        matches!(self, Self::Healthz | Self::HealthzOutbound)
    }

    /// The route of a request, by its path as it came, cleaned but not decoded.
    ///
    /// # Errors
    /// When a parameter cannot be decoded.
    pub(crate) fn of(method: &Method, path: &str) -> Result<Self, InvalidEscape> {
        // The common case, without cleaning and splitting.
        if path.starts_with("/v1.0/invoke/") {
            return Ok(Self::Invoke);
        }
        let cleaned = path::clean(path.as_bytes());
        if !cleaned.starts_with(b"/v1.0") {
            return Ok(Self::Invoke);
        }
        let segments: Vec<&[u8]> = cleaned.split(|byte| *byte == b'/').skip(1).collect();
        let route = match segments.as_slice() {
            [b"v1.0", rest @ ..] => match (method.as_str(), rest) {
                ("GET", [b"healthz"]) => Self::Healthz,
                ("GET", [b"healthz", b"outbound"]) => Self::HealthzOutbound,
                ("GET", [b"metadata"]) => Self::Metadata,
                ("PUT", [b"metadata", key]) => Self::SetMetadata(parameter(key)?),
                ("POST", [b"shutdown"]) => Self::Shutdown,
                _ => Self::of_building_block(method, &segments)?,
            },
            _ => Self::of_building_block(method, &segments)?,
        };
        Ok(route)
    }

    fn of_building_block(method: &Method, segments: &[&[u8]]) -> Result<Self, InvalidEscape> {
        if let Some(route) = state(method, segments)? {
            return Ok(Self::State(route));
        }
        if let ("POST", [b"v1.0-alpha1", verb @ (b"lock" | b"unlock"), store]) = (method.as_str(), segments) {
            let (store, unlock) = (parameter(store)?, *verb == b"unlock");
            return Ok(Self::Lock(LockRoute { store, unlock }));
        }
        if let ("GET", [b"v1.0", b"secrets", store, name]) = (method.as_str(), segments) {
            let store = parameter(store)?;
            let name = if *name == b"bulk" {
                None
            } else {
                Some(parameter(name)?)
            };
            return Ok(Self::Secrets(SecretRoute { store, name }));
        }
        if let Some(route) = configuration(method, segments)? {
            return Ok(Self::Configuration(route));
        }
        let unconfigured = unconfigured::find(method, segments)?;
        Ok(unconfigured.map_or(Self::Invoke, Self::Unconfigured))
    }
}

/// The state component that a route belongs to, and what is asked of it.
fn state(method: &Method, segments: &[&[u8]]) -> Result<Option<StateRoute>, InvalidEscape> {
    let (store, ask) = match (method.as_str(), segments) {
        ("POST" | "PUT", [b"v1.0", b"state", store]) => (store, Ask::Save),
        ("POST" | "PUT", [b"v1.0", b"state", store, b"bulk"]) => (store, Ask::GetBulk),
        ("POST" | "PUT", [b"v1.0", b"state", store, b"transaction"]) => (store, Ask::Transact),
        ("POST" | "PUT", [b"v1.0-alpha1", b"state", store, b"query"]) => (store, Ask::Query),
        ("GET", [b"v1.0", b"state", store, key]) => (store, Ask::Get(parameter(key)?)),
        ("DELETE", [b"v1.0", b"state", store, key]) => (store, Ask::Delete(parameter(key)?)),
        _ => return Ok(None),
    };
    let store = parameter(store)?;
    Ok(Some(StateRoute { store, ask }))
}

/// The configuration component that a route belongs to, and what is asked of it.
fn configuration(method: &Method, segments: &[&[u8]]) -> Result<Option<ConfigurationRoute>, InvalidEscape> {
    use configuration::Ask;
    let ("GET", [b"v1.0" | b"v1.0-alpha1", b"configuration", rest @ ..]) = (method.as_str(), segments) else {
        return Ok(None);
    };
    let (store, ask) = match rest {
        [store] => (store, Ask::Get),
        [store, b"subscribe"] => (store, Ask::Subscribe),
        [store, id, b"unsubscribe"] => (store, Ask::Unsubscribe(parameter(id)?)),
        _ => return Ok(None),
    };
    let store = parameter(store)?;
    Ok(Some(ConfigurationRoute { store, ask }))
}

/// A part of the path that is a name. Dapr decodes it as a query is decoded.
pub(super) fn parameter(segment: &[u8]) -> Result<String, InvalidEscape> {
    let decoded = path::decode(segment, Plus::Space)?;
    Ok(String::from_utf8_lossy(&decoded).into_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn state_route(ask: Ask) -> Route {
        let store = "my store".to_owned();
        Route::State(StateRoute { store, ask })
    }

    #[test]
    fn fixed_routes_match_with_any_number_of_slashes() {
        let key = Route::SetMetadata("a key".into());
        for (method, path, route) in [
            (Method::GET, "/v1.0/healthz", Route::Healthz),
            (Method::GET, "//v1.0//healthz/", Route::Healthz),
            (Method::GET, "/v1.0/healthz/outbound/", Route::HealthzOutbound),
            (Method::GET, "/v1.0/x/../metadata", Route::Metadata),
            (Method::PUT, "/v1.0/metadata/a%20key", key),
            (Method::POST, "/v1.0/shutdown", Route::Shutdown),
            (
                Method::GET,
                "/v1.0/state/my%20store/a%2Fb",
                state_route(Ask::Get("a/b".into())),
            ),
            (Method::PUT, "/v1.0/state/my%20store", state_route(Ask::Save)),
            (
                Method::POST,
                "/v1.0-alpha1/state/my%20store/query",
                state_route(Ask::Query),
            ),
            (Method::GET, "/v1.0/state/my%20store", Route::Invoke),
            (Method::POST, "/v1.0/healthz", Route::Invoke),
            (Method::GET, "/v1.0/metadata/x", Route::Invoke),
            (Method::GET, "/v1.0/shutdown", Route::Invoke),
            (Method::GET, "/v1.0", Route::Invoke),
            (Method::GET, "/healthz", Route::Invoke),
            (Method::GET, "/", Route::Invoke),
            (Method::DELETE, "/v1.0/invoke/a/method/b", Route::Invoke),
        ] {
            assert_eq!(Route::of(&method, path), Ok(route), "{method} {path}");
        }
        assert!(Route::of(&Method::PUT, "/v1.0/metadata/%zz").is_err());
    }

    proptest! {
        #[test]
        fn no_path_panics(parts in proptest::collection::vec("/|v1\\.0|state|publish|%|.{0,6}", 0..8)) {
            let path = parts.concat();
            for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
                let _ = Route::of(&method, &path);
            }
        }
    }
}
