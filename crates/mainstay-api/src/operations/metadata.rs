//! What an app is told about its runtime, and what it may note there.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use mainstay_base::AppId;
use mainstay_mesh::AppProtocol;
use serde::Serialize;

use crate::{AppMetadata, Blocks};

/// The version of Dapr's API that is spoken, and ours as build metadata.
pub(crate) const RUNTIME_VERSION: &str = concat!("1.19.0+mainstay.", env!("CARGO_PKG_VERSION"));

/// Most notes of one app.
const MAX_NOTES: usize = 100;
/// Largest note, key and value together.
const MAX_NOTE_BYTES: usize = 16 * 1024;

/// The answer of `GET /v1.0/metadata`. The names are Dapr's.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Metadata {
    pub(crate) id: String,
    pub(crate) runtime_version: &'static str,
    pub(crate) enabled_features: [&'static str; 0],
    pub(crate) components: Vec<Component>,
    pub(crate) extended: BTreeMap<String, String>,
    pub(crate) subscriptions: [(); 0],
    pub(crate) http_endpoints: Vec<Named>,
    pub(crate) app_connection_properties: AppConnection,
    pub(crate) actor_runtime: ActorRuntime,
}

/// A component that the app may use.
#[derive(Debug, Serialize)]
pub(crate) struct Component {
    pub(crate) name: String,
    #[serde(rename = "type")]
    pub(crate) kind: String,
    pub(crate) version: String,
    pub(crate) capabilities: &'static [&'static str],
}

/// Something with a name.
#[derive(Debug, Serialize)]
pub(crate) struct Named {
    pub(crate) name: String,
}

/// How the app is reached.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AppConnection {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) port: Option<u16>,
    pub(crate) protocol: &'static str,
    pub(crate) channel_address: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) max_concurrency: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) health: Option<AppHealth>,
}

/// How the app's health is found out.
#[derive(Debug, Serialize)]
pub(crate) struct AppHealth {
    #[serde(rename = "healthCheckPath", skip_serializing_if = "Option::is_none")]
    pub(crate) path: Option<String>,
    #[serde(rename = "healthProbeInterval")]
    pub(crate) interval: String,
    #[serde(rename = "healthProbeTimeout")]
    pub(crate) timeout: String,
    #[serde(rename = "healthThreshold")]
    pub(crate) threshold: u32,
}

/// There are no actors yet.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ActorRuntime {
    pub(crate) runtime_status: &'static str,
    pub(crate) host_ready: bool,
}

/// A note that is not taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoteError {
    /// One note is too large.
    #[error("the metadata is larger than {MAX_NOTE_BYTES} bytes")]
    TooLarge,
    /// There are too many.
    #[error("there are {MAX_NOTES} metadata entries already")]
    TooMany,
}

/// What an app noted with `PUT /v1.0/metadata/{key}`; lost when Mainstay stops. Clones share the notes, so that all
/// servers of an app show the same.
#[derive(Clone, Debug, Default)]
pub struct Notes(Arc<Mutex<BTreeMap<String, String>>>);

impl Notes {
    /// Writes a note. An empty key does nothing, as in Dapr.
    pub(crate) fn set(&self, key: &str, value: String) -> Result<(), NoteError> {
        if key.is_empty() {
            return Ok(());
        }
        if key.len() + value.len() > MAX_NOTE_BYTES {
            return Err(NoteError::TooLarge);
        }
        let mut notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() >= MAX_NOTES && !notes.contains_key(key) {
            return Err(NoteError::TooMany);
        }
        notes.insert(key.to_owned(), value);
        Ok(())
    }
}

/// What `app` is told.
pub(crate) fn get(app: &AppId, about: &AppMetadata, blocks: &Blocks) -> Metadata {
    let mut extended = about
        .notes
        .0
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    extended.insert("daprRuntimeVersion".to_owned(), RUNTIME_VERSION.to_owned());
    let health = about.health.as_ref().map(|health| AppHealth {
        path: health.path.clone(),
        interval: go_duration(health.interval),
        timeout: go_duration(health.timeout),
        threshold: health.threshold,
    });
    let components = blocks.list().map(|(name, about, capabilities)| Component {
        name: name.to_owned(),
        kind: about.kind.clone(),
        version: about.version.clone(),
        capabilities,
    });
    Metadata {
        id: app.to_string(),
        runtime_version: RUNTIME_VERSION,
        enabled_features: [],
        components: components.collect(),
        extended,
        subscriptions: [],
        http_endpoints: about
            .http_endpoints
            .iter()
            .map(|name| Named { name: name.clone() })
            .collect(),
        app_connection_properties: AppConnection {
            port: about.port,
            protocol: protocol_name(about.protocol),
            channel_address: about
                .channel_address
                .clone()
                .unwrap_or_else(|| "127.0.0.1".to_owned()),
            max_concurrency: about.max_concurrency,
            health,
        },
        actor_runtime: ActorRuntime {
            runtime_status: "DISABLED",
            host_ready: false,
        },
    }
}

/// As in daprd's `--app-protocol`.
fn protocol_name(protocol: AppProtocol) -> &'static str {
    match protocol {
        AppProtocol::Http => "http",
        AppProtocol::H2c => "h2c",
        AppProtocol::Grpc => "grpc",
    }
}

/// A duration as Go's `String` writes it: unlike ours, with all units below the largest (`1m0s`).
fn go_duration(duration: Duration) -> String {
    let (minutes, rest) = (duration.as_secs() / 60, duration.subsec_nanos());
    if minutes == 0 {
        let text = mainstay_base::format_duration(duration);
        return if text == "0" { "0s".to_owned() } else { text };
    }
    let seconds = Duration::new(duration.as_secs() % 60, rest);
    let seconds = match mainstay_base::format_duration(seconds).as_str() {
        "0" => "0s".to_owned(),
        _ => format!("{}s", seconds.as_secs_f64()),
    };
    match minutes / 60 {
        0 => format!("{minutes}m{seconds}"),
        hours => format!("{hours}h{}m{seconds}", minutes % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_bounded() {
        let notes = Notes::default();
        assert_eq!(notes.set("", "ignored".into()), Ok(()));
        assert_eq!(
            notes.set("big", "x".repeat(MAX_NOTE_BYTES)),
            Err(NoteError::TooLarge)
        );
        for index in 0..MAX_NOTES {
            assert_eq!(notes.set(&format!("key-{index}"), String::new()), Ok(()));
        }
        assert_eq!(notes.set("one-more", String::new()), Err(NoteError::TooMany));
        assert_eq!(notes.set("key-7", "new value".into()), Ok(()));
        let app = AppId::new("orders").unwrap();
        let about = AppMetadata {
            notes,
            ..AppMetadata::default()
        };
        let extended = get(&app, &about, &Blocks::default()).extended;
        assert_eq!(extended.get("key-7").map(String::as_str), Some("new value"));
        assert_eq!(extended.len(), MAX_NOTES + 1);
    }

    #[test]
    fn durations_are_written_as_go_does() {
        for (millis, text) in [
            (0, "0s"),
            (500, "500ms"),
            (5_000, "5s"),
            (60_000, "1m0s"),
            (90_500, "1m30.5s"),
            (3_600_000, "1h0m0s"),
        ] {
            assert_eq!(go_duration(Duration::from_millis(millis)), text);
        }
    }
}
