//! What a store on PostgreSQL can be told.

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use super::error::OpenError;

/// How to open the store.
#[derive(Clone)]
pub struct Options {
    /// Where the server is, and as whom to log in.
    pub(super) server: Config,
    /// Where the tables are.
    pub schema: SchemaName,
    /// Who signs the server's certificate; without it, whom the machine trusts.
    pub root_certificates: Option<PathBuf>,
    /// How many connections serve reads.
    pub read_connections: usize,
    /// How many snapshots may live at once; each has a connection.
    pub max_snapshots: usize,
    /// How many batches may wait to be committed.
    pub max_waiting_batches: usize,
    /// How many bytes of keys and values may wait to be committed.
    pub max_waiting_bytes: usize,
    /// How many bytes are kept at most for who follows the store and is behind; whoever follows from now on, or once more.
    pub max_feed_bytes: u64,
    /// How long the server works on one statement, and waits for other processes meanwhile.
    pub statement_timeout: Duration,
    /// How long it may take to connect.
    pub connect_timeout: Duration,
}

/// The name of the schema with the tables: 1 to 40 lower-case letters, digits and underscores, a letter first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SchemaName(String);

impl Options {
    /// The store behind a URL as `postgres://user:password@host:5432/database?sslmode=require`.
    ///
    /// A connection that leaves the machine uses TLS and checks the certificate, unless the URL says `sslmode=disable`.
    pub fn new(url: &str) -> Result<Self, OpenError> {
        let server = parse(url)?;
        Ok(Self {
            server,
            schema: SchemaName("mainstay".to_owned()),
            root_certificates: None,
            read_connections: 4,
            max_snapshots: 16,
            max_waiting_batches: 16_384,
            max_waiting_bytes: 64 * 1_024 * 1_024,
            max_feed_bytes: 4 * 1_024 * 1_024 * 1_024,
            statement_timeout: Duration::from_secs(10),
            connect_timeout: Duration::from_secs(5),
        })
    }
}

impl Options {
    /// Which store this is: the same text for the same server, database and schema, whoever logs in. Holds no secret.
    pub fn location(&self) -> String {
        let hosts = self.server.get_hosts().iter().map(|host| match host {
            Host::Tcp(name) => name.clone(),
            Host::Unix(path) => path.display().to_string(),
        });
        let mut hosts: Vec<String> = hosts.collect();
        if hosts.is_empty() {
            hosts.extend(self.server.get_hostaddrs().iter().map(IpAddr::to_string));
        }
        let ports = self.server.get_ports();
        let servers: Vec<String> = hosts
            .iter()
            .enumerate()
            .map(|(index, host)| {
                // One port is that of all.
                let port = ports.get(index).or_else(|| ports.first()).copied();
                format!("{host}:{}", port.unwrap_or(5_432))
            })
            .collect();
        let user = self.server.get_user().unwrap_or_default();
        let database = self.server.get_dbname().unwrap_or(user);
        format!(
            "postgres://{}/{database}, schema {}",
            servers.join(","),
            self.schema
        )
    }

    /// How long to wait for the answer to a change: longer than the server works on it.
    pub(super) fn answer_timeout(&self) -> Duration {
        const GRACE: Duration = Duration::from_secs(5);
        self.statement_timeout + GRACE
    }
}

/// What a URL says, or settings such as `host=db user=me`, with TLS wherever a connection leaves the machine.
pub(super) fn parse(url: &str) -> Result<Config, OpenError> {
    // What the parser says names the option, never its value.
    let mut server = Config::from_str(url).map_err(|error| OpenError::Url(super::error::describe(&error)))?;
    let (hosts, addresses) = (server.get_hosts(), server.get_hostaddrs());
    let stays_here = hosts.iter().all(is_local) && addresses.iter().all(IpAddr::is_loopback);
    let is_socket = addresses.is_empty() && hosts.iter().all(|host| matches!(host, Host::Unix(_)));
    if server.get_ssl_mode() == SslMode::Prefer && !stays_here {
        server.ssl_mode(SslMode::Require);
    }
    // A socket of this machine has no name that a certificate could be for.
    if is_socket {
        server.ssl_mode(SslMode::Disable);
    }
    Ok(server)
}

/// The URL may hold a password, so it is not shown.
impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            schema,
            root_certificates,
            ..
        } = self;
        formatter
            .debug_struct("Options")
            .field("hosts", &self.server.get_hosts())
            .field("schema", schema)
            .field("root_certificates", root_certificates)
            .finish_non_exhaustive()
    }
}

impl SchemaName {
    /// The schema with this name.
    pub fn new(name: impl Into<String>) -> Result<Self, OpenError> {
        let name = name.into();
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let begins_well = name.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
        // Names that begin with `pg_` belong to the server.
        if begins_well && name.len() <= 40 && name.bytes().all(is_plain) && !name.starts_with("pg_") {
            Ok(Self(name))
        } else {
            Err(OpenError::SchemaName(name))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SchemaName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// Whether what is sent there stays on this machine.
fn is_local(host: &Host) -> bool {
    match host {
        Host::Unix(_) => true,
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_the_machine_is_encrypted() {
        let mode = |url: &str| Options::new(url).unwrap().server.get_ssl_mode();
        assert_eq!(mode("postgres://u@db.example/x"), SslMode::Require);
        assert_eq!(
            mode("postgres://u@db.example/x?sslmode=disable"),
            SslMode::Disable
        );
        assert_eq!(mode("postgres://u@127.0.0.1,db.example/x"), SslMode::Require);
        assert_eq!(mode("postgres://u@127.0.0.1/x"), SslMode::Prefer);
        assert_eq!(mode("user=u hostaddr=10.1.2.3"), SslMode::Require);
        assert_eq!(mode("user=u host=localhost hostaddr=10.1.2.3"), SslMode::Require);
        assert_eq!(mode("user=u host=/run/postgresql"), SslMode::Disable);
    }

    #[test]
    fn a_password_is_never_shown() {
        let options = Options::new("postgres://u:s3cret@127.0.0.1/x").unwrap();
        assert!(!format!("{options:?}").contains("s3cret"));
        let error = Options::new("postgres://u:s3cret@127.0.0.1/x?sslmode=s3cret2").unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
    }

    #[test]
    fn a_location_is_that_of_the_store_and_no_secret() {
        let location = |url: &str| Options::new(url).unwrap().location();
        let expected = "postgres://db.example:5432/shop, schema mainstay";
        for url in [
            "postgres://me:s3cret@db.example/shop",
            "postgresql://you@db.example:5432/shop?sslmode=require",
            "host=db.example user=me dbname=shop",
        ] {
            assert_eq!(location(url), expected);
        }
        assert_eq!(
            location("postgres://me@a,b:5433/"),
            "postgres://a:5432,b:5433/me, schema mainstay"
        );
        assert_eq!(
            location("user=me host=/run/postgresql port=5434"),
            "postgres:///run/postgresql:5434/me, schema mainstay"
        );
    }

    #[test]
    fn names_of_schemas_need_no_quotes() {
        for name in ["mainstay", "a1_b"] {
            assert!(SchemaName::new(name).is_ok(), "{name}");
        }
        for name in ["", "1a", "A", "a-b", "a\"b", "pg_x", "a b", &"a".repeat(41)] {
            assert!(SchemaName::new(name).is_err(), "{name}");
        }
    }
}
