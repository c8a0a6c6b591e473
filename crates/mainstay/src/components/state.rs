//! State components.

use std::sync::Arc;
use std::time::Duration;

use mainstay_state::encryption::{Encrypted, Encryption, EncryptionKey};
use mainstay_state::stored::Sweeper;
use mainstay_state::{InMemory, InMemoryOptions, KeyPrefix, StateStore, Stored};
use mainstay_store::Store;

use super::opened::Secrets;
use super::settings::Settings;
use crate::resources::{Setting, SettingValue};

/// How often what has expired is removed; it is not shown in any case.
const SWEEP_INTERVAL: Duration = Duration::from_secs(30);

/// What a state component keeps its values in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    InMemory,
    Stored,
}

/// A state component that can be opened.
#[derive(Clone, Debug)]
pub(super) struct StatePlan {
    engine: Engine,
    pub(super) prefix: KeyPrefix,
    /// The key that seals and opens, and one that only opens.
    keys: Option<(Key, Option<Key>)>,
}

/// A key for encryption: what it is called, and where it is.
#[derive(Clone, Debug)]
struct Key {
    name: String,
    value: SettingValue,
}

impl StatePlan {
    /// On the system's store, with Dapr's defaults.
    pub(super) fn stored() -> Self {
        Self {
            engine: Engine::Stored,
            prefix: KeyPrefix::default(),
            keys: None,
        }
    }

    pub(super) fn read(engine: Engine, settings: &mut Settings<'_>) -> Option<Self> {
        let prefix = match settings.text("keyPrefix") {
            None => KeyPrefix::default(),
            Some((text, place)) => match KeyPrefix::parse(text) {
                Ok(prefix) => prefix,
                Err(problem) => {
                    let help = "write appid, name, namespace, none, or a text of your own";
                    settings.wrong(place, problem.to_string(), help);
                    return None;
                }
            },
        };
        let primary = settings.get("primaryEncryptionKey").map(Key::of);
        let secondary = settings.get("secondaryEncryptionKey");
        let keys = match (primary, secondary) {
            (Some(primary), secondary) => Some((primary, secondary.map(Key::of))),
            (None, None) => None,
            (None, Some(secondary)) => {
                let message = "there is a `secondaryEncryptionKey` and no `primaryEncryptionKey`".to_owned();
                settings.wrong(&secondary.place, message, "the primary key is the one that seals");
                return None;
            }
        };
        settings.unused(&[
            "actorStateStore",
            "outboxPublishPubsub",
            "outboxPublishTopic",
            "outboxPubsub",
            "outboxDiscardWhenMissingState",
        ]);
        Some(Self { engine, prefix, keys })
    }

    /// Opens it.
    pub(super) async fn open(
        &self,
        name: &str,
        store: Option<&Arc<dyn Store>>,
        secrets: &Secrets<'_>,
    ) -> Result<(Arc<dyn StateStore>, Option<Sweeper>), String> {
        let (values, sweeper): (Arc<dyn StateStore>, _) = match self.engine {
            Engine::InMemory => (Arc::new(InMemory::new(InMemoryOptions::default())), None),
            Engine::Stored => {
                let store = store.ok_or("there is no store")?;
                let stored = Stored::new(Arc::clone(store), name).map_err(|error| error.to_string())?;
                let sweeper = Sweeper::start(stored.clone(), SWEEP_INTERVAL);
                (Arc::new(stored), Some(sweeper))
            }
        };
        let store: Arc<dyn StateStore> = match &self.keys {
            None => values,
            Some((primary, secondary)) => {
                let primary = primary.resolve(secrets).await?;
                let secondary = match secondary {
                    Some(key) => Some(key.resolve(secrets).await?),
                    None => None,
                };
                Arc::new(Encrypted::new(values, Encryption::new(primary, secondary)))
            }
        };
        Ok((store, sweeper))
    }
}

impl Key {
    /// Sealed values name their key by its secret, as in Dapr; one that stands in the file is called as its setting.
    fn of(setting: &Setting) -> Self {
        let name = match &setting.value {
            SettingValue::Secret { name, .. } => name.clone(),
            SettingValue::Text(_) => setting.name.clone(),
        };
        Self {
            name,
            value: setting.value.clone(),
        }
    }

    async fn resolve(&self, secrets: &Secrets<'_>) -> Result<EncryptionKey, String> {
        let digits = secrets.value(&self.value).await?;
        EncryptionKey::parse(&self.name, &digits).map_err(|error| error.to_string())
    }
}
