//! Secret components.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use mainstay_secrets::stored::KeyRing;
use mainstay_secrets::{Environment, LocalFile, SecretStore, Stored, file};
use mainstay_store::Store;

use super::opened::Secrets;
use super::settings::Settings;
use crate::resources::SettingValue;

/// The file with the keys of secrets in the data directory.
pub(crate) const KEY_FILE: &str = "secrets.key";

/// The variable that has the keys instead: for data that several machines share.
const KEY_VARIABLE: &str = "MAINSTAY_SECRETS_KEY";

/// What a secret component reads its secrets from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Engine {
    Environment,
    File,
    Stored,
}

/// A secret component that can be opened.
#[derive(Clone, Debug)]
pub(super) enum SecretPlan {
    Environment { prefix: String },
    File(file::Options),
    Stored(Keys),
}

/// Where the keys of a sealed store are.
#[derive(Clone, Debug)]
pub(super) enum Keys {
    /// In the environment, else in the data directory, where they are made.
    Default,
    /// In this file.
    File(PathBuf),
    /// Here.
    Setting(SettingValue),
}

/// Where files are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Folders<'a> {
    /// The manifest's, where paths start.
    pub(super) dir: &'a Path,
    /// The data directory.
    pub(super) data_dir: &'a Path,
}

impl SecretPlan {
    /// Without settings; a file needs one.
    pub(super) fn stored() -> Self {
        Self::Stored(Keys::Default)
    }

    pub(super) fn read(engine: Engine, settings: &mut Settings<'_>) -> Option<Self> {
        let owned = |found: Option<(&str, &_)>| found.map(|(text, _)| text.to_owned());
        match engine {
            Engine::Environment => {
                let prefix = owned(settings.text("prefix")).unwrap_or_default();
                Some(Self::Environment { prefix })
            }
            Engine::File => {
                let Some(path) = owned(settings.text("secretsFile")) else {
                    settings.wrong_whole("`secretsFile` is missing: name the file".to_owned());
                    return None;
                };
                let mut options = file::Options::new(path);
                if let Some(separator) = owned(settings.text("nestedSeparator")) {
                    options.nested_separator = separator;
                }
                options.multi_valued = settings.flag("multiValued");
                Some(Self::File(options))
            }
            Engine::Stored => {
                let file = owned(settings.text("keyFile"));
                let keys = match (settings.get("key"), file) {
                    (None, None) => Keys::Default,
                    (None, Some(file)) => Keys::File(file.into()),
                    (Some(setting), None) => Keys::Setting(setting.value.clone()),
                    (Some(setting), Some(_)) => {
                        let message = "there is a `key` and a `keyFile`".to_owned();
                        settings.wrong(&setting.place, message, "keep one of them");
                        return None;
                    }
                };
                Some(Self::Stored(keys))
            }
        }
    }

    /// Opens it. Reads small files, at the start of the system. What can be changed here is given as itself too.
    pub(super) async fn open(
        &self,
        name: &str,
        store: Option<&Arc<dyn Store>>,
        folders: Folders<'_>,
        secrets: &Secrets<'_>,
    ) -> Result<(Arc<dyn SecretStore>, Option<Stored>), String> {
        match self {
            Self::Environment { prefix } => Ok((Arc::new(Environment::of_process(prefix)), None)),
            Self::File(options) => {
                let options = file::Options {
                    path: folders.dir.join(&options.path),
                    ..options.clone()
                };
                let file = LocalFile::open(&options).map_err(|error| error.to_string())?;
                Ok((Arc::new(file), None))
            }
            Self::Stored(keys) => {
                let keys = keys.read(folders, secrets).await?;
                let store = store.ok_or("there is no store")?;
                let stored = Stored::new(Arc::clone(store), name, keys).map_err(|error| error.to_string())?;
                // A wrong key is told now, and not when an app asks.
                stored.check().await.map_err(|error| error.to_string())?;
                Ok((Arc::new(stored.clone()), Some(stored)))
            }
        }
    }
}

impl Keys {
    async fn read(&self, folders: Folders<'_>, secrets: &Secrets<'_>) -> Result<KeyRing, String> {
        let keys = match self {
            Self::Default => match std::env::var(KEY_VARIABLE) {
                Ok(text) if !text.is_empty() => KeyRing::parse(&text),
                _ => KeyRing::from_file_or_new(&folders.data_dir.join(KEY_FILE)),
            },
            Self::File(path) => KeyRing::from_file(&folders.dir.join(path)),
            Self::Setting(value) => KeyRing::parse(&secrets.value(value).await?),
        };
        keys.map_err(|error| error.to_string())
    }
}
