//! What the component can be told: Dapr's names for it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use super::connection_string;
use crate::metadata::{InvalidMetadata, Reader, Span};

/// How Dapr's client prepares statements; here nothing is prepared for more than one call.
const WITHOUT_EFFECT: &[&str] = &["queryExecMode"];

/// The names of the metadata that [`Options::parse`] reads or knows to be without effect.
pub const METADATA_NAMES: &[&str] = &[
    "cleanupInterval",
    "cleanupIntervalInSeconds",
    "connectionMaxIdleTime",
    "connectionString",
    "database",
    "host",
    "hostaddr",
    "maxConns",
    "metadataTableName",
    "password",
    "port",
    "queryExecMode",
    "sslRootCert",
    "tableName",
    "tablePrefix",
    "timeout",
    "timeoutInSeconds",
    "url",
    "useAWSIAM",
    "useAzureAD",
    "user",
];

/// Most connections: a server rarely allows more to everybody together.
const MAX_CONNECTIONS: usize = 1_000;

/// Where the database is, and where in it the values are.
#[derive(Clone, PartialEq, Eq)]
pub struct Options {
    /// A URL, or settings such as `host=db user=me`. May hold a password.
    pub connection: String,
    /// Who may sign the server's certificate; without it, whom the machine trusts.
    pub root_certificates: Option<PathBuf>,
    /// The table with the values. `state`.
    pub table: TableName,
    /// The table that says when expired values were removed last. `dapr_metadata`.
    pub metadata_table: TableName,
    /// How long a call may take, and how long to connect. 20 s, as in Dapr.
    pub timeout: Duration,
    /// How often expired values are removed; `None` for never. 1 h.
    pub cleanup_interval: Option<Duration>,
    /// Most connections at once. 4, or as many as there are processors.
    pub max_connections: usize,
    /// How long a connection is kept that nobody needs. 30 min.
    pub max_idle_time: Duration,
    /// What was given and means nothing here.
    pub without_effect: Vec<&'static str>,
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

impl Options {
    /// The database behind a URL, or behind settings such as `host=db user=me`.
    pub fn new(connection: impl Into<String>) -> Self {
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            connection: connection.into(),
            root_certificates: None,
            table: TableName("state".to_owned()),
            metadata_table: TableName("dapr_metadata".to_owned()),
            timeout: Duration::from_secs(20),
            cleanup_interval: Some(Duration::from_secs(3_600)),
            max_connections: processors.max(4),
            max_idle_time: Duration::from_secs(1_800),
            without_effect: Vec::new(),
        }
    }

    /// Reads the metadata of a component file, of which secrets were resolved; names are compared without regard to case.
    /// Takes those of Dapr's components of version 1 (`tableName`) and 2 (`tablePrefix`).
    pub fn parse<'a>(
        metadata: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Vec<InvalidMetadata>> {
        let mut reader = Reader::new(metadata, METADATA_NAMES);
        for (name, reason) in [
            (
                "useAWSIAM",
                "log in with a password or a certificate of the connection string",
            ),
            (
                "useAzureAD",
                "log in with a password or a certificate of the connection string",
            ),
        ] {
            if reader.flag(name) {
                reader.unsupported(name, reason);
            }
        }
        let mut options = Self::new("");
        options.read_connection(&mut reader);
        options.read_tables(&mut reader);
        options.read_limits(&mut reader);
        options.without_effect = reader.present(WITHOUT_EFFECT);
        reader.finish(options)
    }

    fn read_connection(&mut self, reader: &mut Reader<'_>) {
        let text = reader.text(&["connectionString", "url"]).unwrap_or_default();
        let names = [
            ("host", "host"),
            ("hostaddr", "hostaddr"),
            ("port", "port"),
            ("database", "dbname"),
            ("user", "user"),
            ("password", "password"),
        ];
        let given = names.into_iter().filter_map(|(name, setting)| {
            let value = reader.text(&[name])?;
            Some((setting, value))
        });
        let overrides: Vec<_> = given.collect();
        if text.is_empty() && overrides.is_empty() {
            reader.required(&["connectionString"]);
            return;
        }
        match connection_string::parse(text, &overrides) {
            Ok(connection) => {
                self.connection = connection.settings;
                self.root_certificates = connection.root_certificates;
                if let Some(connections) = connection.max_connections {
                    self.max_connections = connections.clamp(1, MAX_CONNECTIONS);
                }
            }
            Err(reason) => reader.invalid("connectionString", reason),
        }
        if let Some(file) = reader.text(&["sslRootCert"]) {
            self.root_certificates = Some(file.into());
        }
    }

    fn read_tables(&mut self, reader: &mut Reader<'_>) {
        let prefix = reader.text(&["tablePrefix"]);
        let table = reader.text(&["tableName"]);
        if prefix.is_some() && table.is_some() {
            reader.invalid("tablePrefix", "tableName says it: leave one of them out");
        }
        if let Some(prefix) = prefix {
            read_table("tablePrefix", &format!("{prefix}state"), &mut self.table, reader);
        }
        if let Some(table) = table {
            read_table("tableName", table, &mut self.table, reader);
        }
        if let Some(table) = reader.text(&["metadataTableName"]) {
            read_table("metadataTableName", table, &mut self.metadata_table, reader);
        }
    }

    fn read_limits(&mut self, reader: &mut Reader<'_>) {
        match reader.duration(&["timeout", "timeoutInSeconds"]) {
            Span::Unsaid => {}
            Span::For(timeout) if timeout >= Duration::from_secs(1) => self.timeout = timeout,
            _ => reader.invalid("timeout", "write at least 1s"),
        }
        match reader.duration(&["cleanupInterval", "cleanupIntervalInSeconds"]) {
            Span::Unsaid => {}
            Span::For(interval) if !interval.is_zero() => self.cleanup_interval = Some(interval),
            _ => self.cleanup_interval = None,
        }
        if let Span::For(idle) = reader.duration(&["connectionMaxIdleTime"])
            && !idle.is_zero()
        {
            self.max_idle_time = idle;
        }
        if let Some(connections @ 1..) = reader.number::<i64>(&["maxConns"]) {
            let connections = usize::try_from(connections).unwrap_or(MAX_CONNECTIONS);
            self.max_connections = connections.min(MAX_CONNECTIONS);
        }
    }
}

fn read_table(name: &'static str, table: &str, place: &mut TableName, reader: &mut Reader<'_>) {
    match TableName::new(table) {
        Ok(table) => *place = table,
        Err(invalid) => reader.invalid(name, invalid.to_string()),
    }
}

/// The connection may hold a password, so it is not shown.
impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("root_certificates", &self.root_certificates)
            .field("table", &self.table)
            .field("max_connections", &self.max_connections)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_file_is_read() {
        let options = Options::parse([
            (
                "connectionString",
                "host=db user=me password=s3cret database=shop",
            ),
            ("tablePrefix", "public.My_"),
            ("timeoutInSeconds", "5"),
            ("cleanupIntervalInSeconds", "0"),
            ("connectionMaxIdleTime", "5m"),
            ("maxConns", "7"),
            ("keyPrefix", "name"),
            ("queryExecMode", "exec"),
        ])
        .unwrap();
        assert_eq!(
            options.connection,
            "host='db' user='me' password='s3cret' dbname='shop' "
        );
        assert_eq!(options.table.to_string(), "public.my_state");
        assert_eq!(options.timeout, Duration::from_secs(5));
        assert_eq!(options.cleanup_interval, None);
        assert_eq!(options.max_idle_time, Duration::from_secs(300));
        assert_eq!(options.max_connections, 7);
        assert_eq!(options.without_effect, ["queryExecMode"]);
        assert!(!format!("{options:?}").contains("s3cret"));
    }

    #[test]
    fn the_parts_of_a_connection_can_stand_alone() {
        let options = Options::parse([("host", "db"), ("user", "me"), ("database", "shop")]).unwrap();
        assert_eq!(options.connection, "host='db' dbname='shop' user='me' ");
    }

    #[test]
    fn what_it_cannot_do_is_refused() {
        for (name, value) in [
            ("tableName", "a;drop"),
            ("tableName", "a.b.c"),
            ("metadataTableName", "\"x\""),
            ("timeout", "10ms"),
            ("timeout", "-1"),
            ("useAzureAD", "true"),
            ("host", "other"),
        ] {
            let pairs = [("connectionString", "postgres://u@db/x"), (name, value)];
            let mistakes = Options::parse(pairs).unwrap_err();
            assert_eq!(mistakes.len(), 1, "{name}: {mistakes:?}");
        }
        let missing = Options::parse([("tableName", "x")]).unwrap_err();
        assert_eq!(missing, [InvalidMetadata::Missing("connectionString")]);
    }
}
