//! `configuration.postgresql`: settings in a table, in Dapr's form.
//!
//! The table has the columns `key`, `value`, `version` and `metadata` (JSON, may be null), and belongs to whoever made it. A
//! trigger of theirs notifies of changes on a channel that the subscriber names, with the row as JSON:
//! `{"table": …, "action": …, "data": {"key": …, …}}`.

use std::sync::Arc;
use std::time::Duration;

use mainstay_postgres::tokio_postgres::Row;
use mainstay_postgres::{Notifications, Postgres, PostgresError};
use mainstay_store::Reply;
use serde::Deserialize;

use crate::error::ConfigurationError;
use crate::limits::MAX_ITEMS;
use crate::listener::{Listener, Touched, reconnect};
use crate::port::{ConfigurationStore, Item, Items, Metadata, check_keys};
use crate::subscription::Subscription;

/// Longest name of a table, and of its schema, in bytes.
const MAX_NAME_BYTES: usize = 63;

/// How often to look without having been told: in case somebody has taken the trigger away.
const RECONCILIATION: Duration = Duration::from_secs(60);

/// What a subscriber says to name the channel.
const CHANNEL: &str = "pgNotifyChannel";

/// The name of a table, with its schema or without: small letters, digits and `_`. The component's metadata `table`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table(String);

/// A name that no table of settings has.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot name the table: write table or schema.table, in small letters, digits and `_`")]
pub struct InvalidTable(String);

impl Table {
    /// The table with this name.
    pub fn new(name: &str) -> Result<Self, InvalidTable> {
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let parts: Vec<&str> = name.split('.').collect();
        let valid = |part: &&str| (1..=MAX_NAME_BYTES).contains(&part.len()) && part.bytes().all(is_plain);
        if parts.len() > 2 || !parts.iter().all(valid) {
            return Err(InvalidTable(name.to_owned()));
        }
        Ok(Self(
            parts
                .iter()
                .map(|part| format!("\"{part}\""))
                .collect::<Vec<_>>()
                .join("."),
        ))
    }
}

/// The component.
#[derive(Clone, Debug)]
pub struct OnPostgres {
    postgres: Postgres,
    table: Arc<Table>,
}

impl OnPostgres {
    /// The settings in this table.
    ///
    /// # Errors
    /// [`PostgresError::Refused`] when it does not exist or lacks a column.
    pub async fn open(postgres: Postgres, table: Table) -> Result<Self, ConfigurationError> {
        let component = Self {
            postgres,
            table: Arc::new(table),
        };
        component.select("WHERE false", &[]).await?;
        Ok(component)
    }

    async fn read(&self, keys: &[String]) -> Result<Items, ConfigurationError> {
        check_keys(keys)?;
        let rows = if keys.is_empty() {
            self.select("", &[]).await?
        } else {
            self.select("WHERE key::text = ANY($1)", &[&keys]).await?
        };
        if rows.len() > MAX_ITEMS {
            return Err(ConfigurationError::TooManyItems);
        }
        rows.iter().map(item).collect()
    }

    async fn select(
        &self,
        condition: &str,
        parameters: &[&(dyn mainstay_postgres::tokio_postgres::types::ToSql + Sync)],
    ) -> Result<Vec<Row>, ConfigurationError> {
        // Whatever types the columns have. One more than may be, to notice it.
        let statement = format!(
            "SELECT key::text, value::text, version::text, metadata::text FROM {} {condition} LIMIT {}",
            self.table.0,
            MAX_ITEMS + 1
        );
        Ok(self.postgres.query(&statement, parameters).await?)
    }

    async fn follow(
        &self,
        keys: Vec<String>,
        metadata: &Metadata,
    ) -> Result<Subscription, ConfigurationError> {
        check_keys(&keys)?;
        let channel = metadata
            .iter()
            .find(|(name, _)| name.eq_ignore_ascii_case(CHANNEL));
        let channel = channel
            .map(|(_, channel)| channel.clone())
            .filter(|channel| !channel.is_empty());
        let channel = channel.ok_or(ConfigurationError::NoChannel)?;
        let notifications = self.postgres.listen(&channel).await?;
        let postgres = self.postgres.clone();
        let listener = Listener::start(|pending| async move {
            let mut notifications: Notifications = notifications;
            loop {
                let heard = tokio::time::timeout(RECONCILIATION, notifications.next()).await;
                pending.add(match heard {
                    Ok(Some(payload)) => touched(&payload),
                    Ok(None) => {
                        notifications = reconnect("PostgreSQL", || postgres.listen(&channel)).await;
                        Touched::Anything
                    }
                    Err(_) => Touched::Anything,
                });
            }
        });
        Subscription::new(self.clone(), listener, keys).await
    }
}

impl ConfigurationStore for OnPostgres {
    fn get<'a>(&'a self, keys: &'a [String]) -> Reply<'a, Result<Items, ConfigurationError>> {
        Reply::waiting(self.read(keys))
    }

    fn subscribe<'a>(
        &'a self,
        keys: Vec<String>,
        metadata: &'a Metadata,
    ) -> Reply<'a, Result<Subscription, ConfigurationError>> {
        Reply::waiting(self.follow(keys, metadata))
    }
}

fn item(row: &Row) -> Result<(String, Item), ConfigurationError> {
    let column = |position: usize| {
        let text = row
            .try_get::<_, Option<String>>(position)
            .map_err(PostgresError::from)?;
        Ok::<_, ConfigurationError>(text.unwrap_or_default())
    };
    let item = Item {
        value: column(1)?,
        version: column(2)?,
        metadata: metadata(&column(3)?),
    };
    Ok((column(0)?, item))
}

/// The fields of a JSON object; what is not text is shown as JSON.
fn metadata(text: &str) -> Metadata {
    let Ok(serde_json::Value::Object(fields)) = serde_json::from_str(text) else {
        return Metadata::new();
    };
    let fields = fields.into_iter().map(|(name, value)| match value {
        serde_json::Value::String(value) => (name, value),
        value => (name, value.to_string()),
    });
    fields.collect()
}

/// What Dapr's trigger notifies of. Of anything else it is not known what it is about.
fn touched(payload: &str) -> Touched {
    #[derive(Deserialize)]
    struct Notice {
        data: Data,
    }
    #[derive(Deserialize)]
    struct Data {
        key: String,
    }
    let notice = serde_json::from_str::<Notice>(payload);
    notice.map_or(Touched::Anything, |notice| Touched::key(notice.data.key))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_tables_need_no_care() {
        assert_eq!(Table::new("configuration").unwrap().0, "\"configuration\"");
        assert_eq!(Table::new("shop.select").unwrap().0, "\"shop\".\"select\"");
        for wrong in ["", ".", "a.", "a.b.c", "A", "a\"b", "a b", "a;b", &"a".repeat(64)] {
            assert_eq!(Table::new(wrong), Err(InvalidTable(wrong.to_owned())), "{wrong}");
        }
    }

    #[test]
    fn notices_are_understood() {
        let notice =
            r#"{"table": "t", "action": "INSERT", "data": {"key": "a", "value": "1", "metadata": null}}"#;
        assert_eq!(touched(notice), Touched::key("a"));
        for other in ["", "a", "{}", r#"{"data": {"KEY": "a"}}"#] {
            assert_eq!(touched(other), Touched::Anything, "{other}");
        }
    }

    #[test]
    fn metadata_is_text() {
        let read = metadata(r#"{"unit": "ms", "max": 7, "on": true}"#);
        let pairs: Vec<_> = read
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        assert_eq!(pairs, [("max", "7"), ("on", "true"), ("unit", "ms")]);
        assert!(metadata("").is_empty() && metadata("[]").is_empty() && metadata("null").is_empty());
    }
}
