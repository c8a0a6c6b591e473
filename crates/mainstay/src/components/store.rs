//! The store of the system: where everything durable lies.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mainstay_store::embedded::{self, Embedded};
use mainstay_store::postgres::{self, Postgres, SchemaName};
use mainstay_store::{Replicated, Role};

use crate::document::did_you_mean;
use crate::failure::Failure;

/// The folder of the embedded store in the data directory.
pub(crate) const FOLDER: &str = "store";

/// How long a database may take to be there: machines that start together are not ready together.
const PATIENCE: Duration = Duration::from_secs(15);

/// How long until it is tried again.
const RETRY_WAIT: Duration = Duration::from_millis(500);

/// Which store it is.
#[derive(Clone, Debug, Default)]
pub(crate) enum StorePlan {
    /// In the data directory.
    #[default]
    Embedded,
    /// In a database, boxed because it is large.
    Postgres(Box<postgres::Options>),
}

impl StorePlan {
    /// Reads the `store` of a manifest. `system` names the schema, so that several systems may share a database.
    ///
    /// The error is a sentence and an advice; neither shows a password.
    pub(crate) fn read(text: &str, system: &str) -> Result<Self, (String, String)> {
        if text == "embedded" {
            return Ok(Self::Embedded);
        }
        let Some((scheme, _)) = text.split_once("://") else {
            let message = format!("there is no store `{text}`");
            return Err((message, did_you_mean(text, ["embedded", "postgres://…"])));
        };
        if !matches!(scheme, "postgres" | "postgresql") {
            let message = format!("a store cannot lie on `{scheme}`");
            let help = "write `embedded` or postgres://user:password@host:5432/database".to_owned();
            return Err((message, help));
        }
        let help = || "write postgres://user:password@host:5432/database".to_owned();
        let mut options = postgres::Options::new(text).map_err(|error| (error.to_string(), help()))?;
        options.schema = schema(system).map_err(|error| (error.to_string(), help()))?;
        Ok(Self::Postgres(Box::new(options)))
    }

    /// What a backup calls it.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::Postgres(_) => "postgresql",
        }
    }

    /// Whether opening it may find something; a database always may.
    pub(crate) fn exists_in(&self, data_dir: &Path) -> bool {
        match self {
            Self::Embedded => data_dir.join(FOLDER).exists(),
            Self::Postgres(_) => true,
        }
    }

    /// Opens it, whatever its role.
    pub(crate) async fn open(&self, data_dir: &Path) -> Result<Arc<dyn Replicated>, Failure> {
        match self {
            Self::Embedded => Ok(open_embedded(&data_dir.join(FOLDER)).await?),
            Self::Postgres(options) => Ok(Arc::new(connect(options).await?)),
        }
    }

    /// Opens it to run on it, which a copy that is not finished is not good for.
    pub(super) async fn open_primary(&self, data_dir: &Path) -> Result<Arc<dyn Replicated>, Failure> {
        let store = self.open(data_dir).await?;
        match store.role().await {
            Ok(Role::Primary) => Ok(store),
            Ok(Role::Replica) => Err(Failure::refused(
                "the store is a copy that is not finished, or was moved elsewhere: finish what was begun, or put a backup in \
                 its place with `mainstay restore --force`",
            )),
            Err(error) => Err(Failure::refused(format!("the store cannot be read: {error}"))),
        }
    }
}

/// Opens the embedded store in a folder, or makes it.
pub(crate) async fn open_embedded(folder: &Path) -> Result<Arc<Embedded>, Failure> {
    let options = embedded::Options::new(folder);
    let opening = tokio::task::spawn_blocking(move || Embedded::open(&options));
    let store = opening
        .await
        .map_err(|_| Failure::refused("the store could not be opened"))?
        .map_err(|error| Failure::refused(error.to_string()))?;
    Ok(Arc::new(store))
}

async fn connect(options: &postgres::Options) -> Result<Postgres, Failure> {
    let deadline = tokio::time::Instant::now() + PATIENCE;
    loop {
        match Postgres::open(options.clone()).await {
            Ok(store) => return Ok(store),
            Err(postgres::OpenError::Unavailable(reason)) if tokio::time::Instant::now() < deadline => {
                tracing::warn!("the database of the store is not there yet: {reason}");
                tokio::time::sleep(RETRY_WAIT).await;
            }
            Err(error) => return Err(Failure::refused(error.to_string())),
        }
    }
}

/// The schema of a system: its name with what a schema may be called.
fn schema(system: &str) -> Result<SchemaName, postgres::OpenError> {
    let plain = |letter: char| {
        let letter = letter.to_ascii_lowercase();
        if letter.is_ascii_alphanumeric() {
            letter
        } else {
            '_'
        }
    };
    let name: String = "mainstay_"
        .chars()
        .chain(system.chars().map(plain))
        .take(40)
        .collect();
    SchemaName::new(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_embedded_or_in_a_database() {
        assert!(matches!(
            StorePlan::read("embedded", "shop"),
            Ok(StorePlan::Embedded)
        ));
        let Ok(StorePlan::Postgres(options)) = StorePlan::read("postgres://me@localhost/x", "Web-Shop")
        else {
            panic!("a database");
        };
        assert_eq!(options.schema.as_str(), "mainstay_web_shop");
    }

    #[test]
    fn a_mistake_says_what_is_possible_and_no_password() {
        for (text, message, help) in [
            (
                "embeded",
                "there is no store `embeded`",
                "did you mean `embedded`?",
            ),
            (
                "redis://:s3cret@localhost",
                "a store cannot lie on `redis`",
                "write `embedded` or postgres://user:password@host:5432/database",
            ),
        ] {
            let found = StorePlan::read(text, "shop").expect_err("a mistake");
            assert_eq!(found, (message.to_owned(), help.to_owned()));
        }
        let (message, _) =
            StorePlan::read("postgres://me:s3cret@h/x?sslmode=maybe", "shop").expect_err("a mistake");
        assert!(!message.contains("s3cret"), "{message}");
    }
}
