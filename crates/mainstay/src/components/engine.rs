//! The settings of components whose engine reads them itself.

use std::collections::BTreeMap;

use super::opened::Secrets;
use super::settings::Settings;
use crate::resources::{Setting, SettingValue};

/// Settings by their names; what is secret is fetched when the component is opened.
#[derive(Clone, Debug)]
pub(super) struct EngineSettings(Vec<Setting>);

/// Names and values, as engines read them.
pub(super) type Metadata = BTreeMap<String, String>;

impl EngineSettings {
    /// Takes the settings of these names. `check` says what is wrong with them, as far as none is secret.
    pub(super) fn read(
        settings: &mut Settings<'_>,
        names: &[&'static str],
        check: impl FnOnce(&Metadata) -> Result<(), String>,
    ) -> Option<Self> {
        let taken: Vec<Setting> = names
            .iter()
            .filter_map(|name| settings.get(name).cloned())
            .collect();
        let texts = taken.iter().map(|setting| match &setting.value {
            SettingValue::Text(text) => Some((setting.name.clone(), text.clone())),
            SettingValue::Secret { .. } => None,
        });
        let texts: Option<Metadata> = texts.collect();
        if let Some(Err(problem)) = texts.map(|texts| check(&texts)) {
            settings.wrong_whole(problem);
            return None;
        }
        Some(Self(taken))
    }

    /// With the secrets.
    pub(super) async fn resolve(&self, secrets: &Secrets<'_>) -> Result<Metadata, String> {
        let mut metadata = Metadata::new();
        for setting in &self.0 {
            metadata.insert(setting.name.clone(), secrets.value(&setting.value).await?);
        }
        Ok(metadata)
    }
}
