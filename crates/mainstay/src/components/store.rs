//! The store of the system: where everything durable lies.

use mainstay_store::postgres::{self, SchemaName};

use crate::document::did_you_mean;

/// The store in the data directory, as a manifest calls it.
pub(crate) const EMBEDDED: &str = "embedded";

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
        if text == EMBEDDED {
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

    /// Which store it is: the same text for the same store. Holds no secret.
    pub(crate) fn location(&self) -> String {
        match self {
            Self::Embedded => "the embedded store".to_owned(),
            Self::Postgres(options) => options.location(),
        }
    }
}

/// Whether a `store` has a password in it, which variables do not count for: what names a store may be written down, a
/// password may not.
pub(crate) fn spells_out_password(text: &str) -> bool {
    let without_scheme = text.split_once("://").map_or(text, |(_, rest)| rest);
    let is_spelt = |password: &str| !password.is_empty() && !password.starts_with("${");
    let user = without_scheme.rsplit_once('@').map(|(user, _)| user);
    // The name of a variable may hold a colon: `${NAME:-default}`.
    let in_user = user
        .filter(|user| !user.starts_with("${"))
        .and_then(|user| user.split_once(':'))
        .is_some_and(|(_, password)| is_spelt(password));
    let mut parts = text.split("password=").skip(1);
    in_user || parts.any(is_spelt)
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
    fn a_password_is_seen_wherever_it_is() {
        for text in [
            "postgres://me:s3cret@localhost/x",
            "postgres://me:s3cret@${HOST}/x",
            "postgres://me@localhost/x?password=s3cret",
            "postgres://me:a${B}@localhost/x",
        ] {
            assert!(spells_out_password(text), "{text}");
        }
        for text in [
            "embedded",
            "${DATABASE_URL}",
            "${DATABASE_URL:-postgres://me@localhost/x}",
            "postgres://me@localhost:5432/x",
            "postgres://me:${PASSWORD}@localhost/x",
            "postgres://me@localhost/x?password=${PASSWORD}",
            "postgres://localhost:5432/x",
        ] {
            assert!(!spells_out_password(text), "{text}");
        }
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
