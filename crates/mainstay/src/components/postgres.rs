//! PostgreSQL, as components on it reach it.

use mainstay_postgres::{Options, Postgres};

use super::engine::{EngineSettings, Metadata};
use super::opened::Secrets;
use super::settings::Settings;

/// What says how the server is reached; some of Dapr's names have no meaning here.
const NAMES: [&str; 17] = [
    "connectionString",
    "url",
    "host",
    "hostaddr",
    "port",
    "database",
    "user",
    "password",
    "sslRootCert",
    "timeout",
    "timeoutInSeconds",
    "maxConns",
    "connectionMaxIdleTime",
    "connMaxIdleTime",
    "queryExecMode",
    "useAzureAD",
    "useAWSIAM",
];

/// Reads how a component reaches its server.
pub(super) fn read(settings: &mut Settings<'_>) -> Option<EngineSettings> {
    EngineSettings::read(settings, &NAMES, |metadata| options(metadata).map(drop))
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
