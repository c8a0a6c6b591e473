//! What the component can be told: Dapr's names for it.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use mainstay_base::parse_duration;

/// The names of the metadata that [`Options::from_metadata`] reads, besides those that say how the server is reached.
pub const METADATA_NAMES: [&str; 5] = [
    "cleanupInterval",
    "cleanupIntervalInSeconds",
    "metadataTableName",
    "tableName",
    "tablePrefix",
];

/// Where the database is, and where in it the values are.
#[derive(Clone, Debug)]
pub struct Options {
    /// How to reach it, and how long a call may take. A server is asked on 4 connections, or as many as there are processors,
    /// unless it says otherwise; one that nobody needs is kept for 30 min.
    pub server: mainstay_postgres::Options,
    /// The table with the values. `state`.
    pub table: TableName,
    /// The table that says when expired values were removed last. `dapr_metadata`.
    pub metadata_table: TableName,
    /// How often expired values are removed; `None` for never. 1 h.
    pub cleanup_interval: Option<Duration>,
}

/// Metadata that cannot be used. Secrets are never part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOptions {
    /// The server cannot be reached so.
    #[error(transparent)]
    Server(#[from] mainstay_postgres::InvalidOptions),
    /// No table has this name.
    #[error("`{0}` is not valid: {InvalidTableName}")]
    Table(&'static str),
    /// Both say what the table is called.
    #[error("`tableName` and `tablePrefix` say the same: leave one of them out")]
    TwoTables,
    /// No interval.
    #[error("`{0}` is not valid: write a duration such as 1h, or seconds; 0 for never")]
    Interval(&'static str),
}

/// The name of a table, with its schema before a dot or without: letters, digits and underscores, as Dapr does in the
/// small letters that PostgreSQL makes of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName(String);

/// Something that cannot name a table.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("write `table` or `schema.table`, of letters, digits and underscores")]
pub struct InvalidTableName;

impl TableName {
    /// The table with this name.
    pub fn new(name: &str) -> Result<Self, InvalidTableName> {
        let is_plain = |part: &str| {
            let begins_well = part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_');
            let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            begins_well && part.len() <= 63 && part.bytes().all(is_name)
        };
        let parts: Vec<&str> = name.split('.').collect();
        if parts.len() <= 2 && parts.into_iter().all(is_plain) {
            Ok(Self(name.to_lowercase()))
        } else {
            Err(InvalidTableName)
        }
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl From<mainstay_postgres::Options> for Options {
    fn from(server: mainstay_postgres::Options) -> Self {
        Self {
            server,
            table: TableName("state".to_owned()),
            metadata_table: TableName("dapr_metadata".to_owned()),
            cleanup_interval: Some(Duration::from_secs(3_600)),
        }
    }
}

impl Options {
    /// Reads the metadata of a component, whose names may be written in large or small letters; secrets were resolved. Takes
    /// those of Dapr's components of version 1 (`tableName`) and 2 (`tablePrefix`).
    pub fn from_metadata(metadata: &BTreeMap<String, String>) -> Result<Self, InvalidOptions> {
        let text = |name: &str| {
            let mut found = metadata.iter();
            let found = found.find(|(given, _)| given.eq_ignore_ascii_case(name));
            let found = found.map(|(_, value)| value.trim());
            found.filter(|value| !value.is_empty())
        };
        let table = |name, text: &str| TableName::new(text).map_err(|_| InvalidOptions::Table(name));
        let mut options = Self::from(mainstay_postgres::Options::from_metadata(metadata)?);
        match (text("tablePrefix"), text("tableName")) {
            (Some(_), Some(_)) => return Err(InvalidOptions::TwoTables),
            (Some(prefix), None) => options.table = table("tablePrefix", &format!("{prefix}state"))?,
            (None, Some(name)) => options.table = table("tableName", name)?,
            (None, None) => {}
        }
        if let Some(name) = text("metadataTableName") {
            options.metadata_table = table("metadataTableName", name)?;
        }
        for name in ["cleanupIntervalInSeconds", "cleanupInterval"] {
            if let Some(given) = text(name) {
                let interval = interval(given).ok_or(InvalidOptions::Interval(name))?;
                options.cleanup_interval = (!interval.is_zero()).then_some(interval);
            }
        }
        Ok(options)
    }
}

/// As with Dapr, what is negative means never, as nothing does.
fn interval(text: &str) -> Option<Duration> {
    if text.starts_with('-') {
        return Some(Duration::ZERO);
    }
    let seconds = text.parse().ok().map(Duration::from_secs);
    seconds.or_else(|| parse_duration(text).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Options, InvalidOptions> {
        let pairs = pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Options::from_metadata(&pairs.collect())
    }

    #[test]
    fn a_component_file_is_read() {
        let options = read(&[
            (
                "connectionString",
                "host=db user=me password=s3cret database=shop",
            ),
            ("TABLEPREFIX", "public.My_"),
            ("metadataTableName", ""),
            ("timeoutInSeconds", "5"),
            ("cleanupIntervalInSeconds", "0"),
            ("maxConns", "7"),
            ("queryExecMode", "exec"),
        ])
        .unwrap();
        assert_eq!(options.table.to_string(), "public.my_state");
        assert_eq!(options.metadata_table.to_string(), "dapr_metadata");
        assert_eq!(options.server.timeout, Duration::from_secs(5));
        assert_eq!(options.server.max_connections, Some(7));
        assert_eq!(options.cleanup_interval, None);
        assert!(!format!("{options:?}").contains("s3cret"));
    }

    #[test]
    fn expired_values_are_removed_as_often_as_is_said() {
        for (given, expected) in [
            ("90", Some(90)),
            ("1h", Some(3_600)),
            ("-1", None),
            ("", Some(3_600)),
        ] {
            let options = read(&[("host", "db"), ("cleanupInterval", given)]).unwrap();
            assert_eq!(
                options.cleanup_interval,
                expected.map(Duration::from_secs),
                "{given}"
            );
        }
    }

    #[test]
    fn what_it_cannot_do_is_refused() {
        for (name, value, expected) in [
            ("tableName", "a;drop", InvalidOptions::Table("tableName")),
            ("tableName", "a.b.c", InvalidOptions::Table("tableName")),
            (
                "metadataTableName",
                "\"x\"",
                InvalidOptions::Table("metadataTableName"),
            ),
            (
                "cleanupInterval",
                "soon",
                InvalidOptions::Interval("cleanupInterval"),
            ),
            (
                "useAzureAD",
                "true",
                mainstay_postgres::InvalidOptions::Unsupported("useAzureAD").into(),
            ),
        ] {
            assert_eq!(read(&[("host", "db"), (name, value)]).unwrap_err(), expected);
        }
        let both = [("host", "db"), ("tableName", "a"), ("tablePrefix", "b")];
        assert_eq!(read(&both).unwrap_err(), InvalidOptions::TwoTables);
    }
}
