//! PostgreSQL, as components on it reach it.

use mainstay_postgres::{METADATA_NAMES, Options, Postgres};

use super::engine::{EngineSettings, Metadata};
use super::opened::Secrets;
use super::settings::Settings;

/// Reads how a component reaches its server.
pub(super) fn read(settings: &mut Settings<'_>) -> Option<EngineSettings> {
    EngineSettings::read(settings, &METADATA_NAMES, |metadata| options(metadata).map(drop))
}

/// Connects.
pub(super) async fn connect(settings: &EngineSettings, secrets: &Secrets<'_>) -> Result<Postgres, String> {
    let options = options(&settings.resolve(secrets).await?)?;
    Postgres::connect(options)
        .await
        .map_err(|error| error.to_string())
}

fn options(metadata: &Metadata) -> Result<Options, String> {
    Options::from_metadata(metadata).map_err(|error| error.to_string())
}
