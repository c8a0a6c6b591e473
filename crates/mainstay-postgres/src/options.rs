//! How to reach a PostgreSQL: the metadata of Dapr's PostgreSQL components.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use mainstay_base::parse_duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};

use crate::connection_string::ConnectionString;
use crate::error::describe;

/// How to reach a PostgreSQL.
#[derive(Clone)]
pub struct Options {
    /// Where the server is, and as whom to log in.
    pub(crate) server: Config,
    /// Who signs the server's certificate; without it, whom the machine trusts.
    pub root_certificates: Option<PathBuf>,
    /// How long it may take to connect, and how long a statement.
    pub timeout: Duration,
    /// Most connections, where the component has several.
    pub max_connections: Option<usize>,
    /// How long a connection is kept that nobody needs, where the component has several.
    pub max_idle_time: Option<Duration>,
}

/// The names of the metadata that [`Options::from_metadata`] reads or knows to be without effect.
pub const METADATA_NAMES: [&str; 17] = [
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

/// Metadata that cannot be used. Secrets are never part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOptions {
    /// Neither a connection string nor a host.
    #[error("`connectionString` is missing")]
    NoConnectionString,
    /// It cannot be read.
    #[error("`connectionString` cannot be read: write host=… user=… password=… database=…, or postgres://…")]
    ConnectionString,
    /// Something in it cannot be used.
    #[error("`connectionString` cannot be used: {0}")]
    Parameter(String),
    /// Not what it should be.
    #[error("`{name}` is `{value}`: it must be {expected}")]
    Value {
        /// Of what.
        name: &'static str,
        /// What was written.
        value: String,
        /// What should have been.
        expected: &'static str,
    },
    /// Not offered.
    #[error("`{0}` is not supported: Mainstay logs in to PostgreSQL with a name and a password")]
    Unsupported(&'static str),
}

/// How long a statement may take unless it is said otherwise, as with Dapr.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Metadata that replaces a part of the connection string, and the keyword of that part.
const PARTS: [(&str, &str); 6] = [
    ("host", "host"),
    ("hostaddr", "hostaddr"),
    ("port", "port"),
    ("database", "dbname"),
    ("user", "user"),
    ("password", "password"),
];

impl Options {
    /// The server behind a connection string, in either of libpq's forms.
    ///
    /// What leaves the machine is encrypted unless the string says `sslmode=disable`, and the certificate is checked whatever
    /// it says.
    pub fn new(connection_string: &str) -> Result<Self, InvalidOptions> {
        Self::from_parts(ConnectionString::parse(connection_string)?, &[])
    }

    /// Reads the metadata of a component, whose names may be written in large or small letters.
    pub fn from_metadata(metadata: &BTreeMap<String, String>) -> Result<Self, InvalidOptions> {
        let given = metadata.iter().filter(|(_, value)| !value.is_empty());
        let metadata: BTreeMap<String, &str> = given
            .map(|(name, value)| (name.to_lowercase(), value.as_str()))
            .collect();
        let text = |name: &str| metadata.get(&name.to_lowercase()).copied();
        for name in ["useAzureAD", "useAWSIAM"] {
            if text(name).is_some_and(|value| value.eq_ignore_ascii_case("true")) {
                return Err(InvalidOptions::Unsupported(name));
            }
        }
        let parts: Vec<(&str, &str)> = PARTS
            .into_iter()
            .filter_map(|(name, keyword)| Some((keyword, text(name)?)))
            .collect();
        let string = match (text("connectionString").or_else(|| text("url")), parts.is_empty()) {
            (Some(string), _) => ConnectionString::parse(string)?,
            (None, false) => ConnectionString::default(),
            (None, true) => return Err(InvalidOptions::NoConnectionString),
        };
        let mut options = Self::from_parts(string, &parts)?;
        if let Some(path) = text("sslRootCert") {
            options.root_certificates = Some(path.into());
        }
        for name in ["timeoutInSeconds", "timeout"] {
            if let Some(value) = text(name) {
                options.timeout = duration(name, value)?;
            }
        }
        for name in ["connectionMaxIdleTime", "connMaxIdleTime"] {
            // As with Dapr, nothing and what is negative mean what the component does anyway.
            if let Some(value) = text(name).filter(|value| !value.starts_with('-') && *value != "0") {
                options.max_idle_time = Some(duration(name, value)?);
            }
        }
        if let Some(value) = text("maxConns") {
            options.max_connections = connections("maxConns", value)?;
        }
        Ok(options)
    }

    fn from_parts(mut string: ConnectionString, parts: &[(&str, &str)]) -> Result<Self, InvalidOptions> {
        let max_connections = string.take("pool_max_conns");
        let max_connections = max_connections.map(|value| connections("pool_max_conns", &value));
        let ssl_mode = string.take("sslmode");
        let root_certificates = string.take("sslrootcert").map(PathBuf::from);
        for (keyword, value) in parts {
            string.set(keyword, value);
        }
        // What the parser says names the parameter, never its value.
        let wrong = |error: tokio_postgres::Error| InvalidOptions::Parameter(describe(&error).to_string());
        let mut server = Config::from_str(&string.keywords()).map_err(wrong)?;
        if server.get_hosts().is_empty() && server.get_hostaddrs().is_empty() {
            return Err(InvalidOptions::Parameter("it names no host".to_owned()));
        }
        server.ssl_mode(encryption(ssl_mode.as_deref(), server.get_hosts())?);
        Ok(Self {
            server,
            root_certificates,
            timeout: TIMEOUT,
            max_connections: max_connections.transpose()?.flatten(),
            max_idle_time: None,
        })
    }
}

/// Whether to encrypt. Nothing and `prefer` mean: where it leaves the machine.
fn encryption(mode: Option<&str>, hosts: &[Host]) -> Result<SslMode, InvalidOptions> {
    if !hosts.is_empty() && hosts.iter().all(|host| matches!(host, Host::Unix(_))) {
        return Ok(SslMode::Disable);
    }
    // A host that is only given by its address has no name that says where it is.
    let stays = !hosts.is_empty() && hosts.iter().all(is_local);
    match mode {
        Some("disable") => Ok(SslMode::Disable),
        None | Some("allow" | "prefer") if stays => Ok(SslMode::Prefer),
        None | Some("allow" | "prefer" | "require" | "verify-ca" | "verify-full") => Ok(SslMode::Require),
        Some(other) => Err(InvalidOptions::Value {
            name: "sslmode",
            value: other.to_owned(),
            expected: "disable, prefer, require, verify-ca or verify-full",
        }),
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

/// Most connections: a server rarely allows more to everybody together.
const MAX_CONNECTIONS: i64 = 1_000;

/// As with Dapr, what is not positive means what the component does anyway.
fn connections(name: &'static str, value: &str) -> Result<Option<usize>, InvalidOptions> {
    let number: i64 = value.parse().map_err(|_| InvalidOptions::Value {
        name,
        value: value.to_owned(),
        expected: "a number of connections",
    })?;
    let number = usize::try_from(number.min(MAX_CONNECTIONS)).ok();
    Ok(number.filter(|number| *number > 0))
}

fn duration(name: &'static str, value: &str) -> Result<Duration, InvalidOptions> {
    let seconds = value.parse().map(Duration::from_secs);
    let duration = seconds.or_else(|_| parse_duration(value)).ok();
    duration
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| InvalidOptions::Value {
            name,
            value: value.to_owned(),
            expected: "a duration such as 20s, or seconds",
        })
}

/// Without the password.
impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("hosts", &self.server.get_hosts())
            .field("database", &self.server.get_dbname())
            .field("user", &self.server.get_user())
            .field("root_certificates", &self.root_certificates)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
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
    fn both_forms_say_the_same() {
        let keywords =
            Options::new("host=db.example user=ada password=hunter2 port=5433 database=shop").unwrap();
        let url = Options::new("postgres://ada:hunter2@db.example:5433/shop").unwrap();
        for options in [&keywords, &url] {
            assert_eq!(options.server.get_hosts(), [Host::Tcp("db.example".to_owned())]);
            assert_eq!(options.server.get_ports(), [5_433]);
            assert_eq!(options.server.get_user(), Some("ada"));
            assert_eq!(options.server.get_password(), Some(b"hunter2".as_slice()));
            assert_eq!(options.server.get_dbname(), Some("shop"));
            assert!(!format!("{options:?}").contains("hunter2"));
        }
    }

    #[test]
    fn metadata_comes_before_the_string() {
        let options = read(&[
            (
                "CONNECTIONSTRING",
                "postgres://ada:one@db.example/shop?sslrootcert=a.pem",
            ),
            ("password", "two"),
            ("sslRootCert", "b.pem"),
            ("timeout", "5s"),
            ("timeoutInSeconds", ""),
            ("maxConns", "4"),
            ("connectionMaxIdleTime", "5m"),
        ])
        .unwrap();
        assert_eq!(options.max_connections, Some(4));
        assert_eq!(options.max_idle_time, Some(Duration::from_secs(300)));
        assert_eq!(options.server.get_password(), Some(b"two".as_slice()));
        assert_eq!(options.root_certificates, Some("b.pem".into()));
        assert_eq!(options.timeout, Duration::from_secs(5));
        let parts = read(&[
            ("host", "localhost"),
            ("port", "1"),
            ("user", "ada"),
            ("timeoutInSeconds", "7"),
        ])
        .unwrap();
        assert_eq!(parts.server.get_ports(), [1]);
        assert_eq!(parts.timeout, Duration::from_secs(7));
    }

    #[test]
    fn what_leaves_the_machine_is_encrypted() {
        for (string, expected) in [
            ("host=db.example", SslMode::Require),
            ("host=db.example sslmode=prefer", SslMode::Require),
            ("host=db.example sslmode=verify-full", SslMode::Require),
            ("host=db.example sslmode=disable", SslMode::Disable),
            ("host=127.0.0.1", SslMode::Prefer),
            ("host=127.0.0.1,db.example", SslMode::Require),
            ("host=127.0.0.1 sslmode=require", SslMode::Require),
            ("hostaddr=10.0.0.1", SslMode::Require),
            ("host=/run/postgresql sslmode=require", SslMode::Disable),
        ] {
            assert_eq!(
                Options::new(string).unwrap().server.get_ssl_mode(),
                expected,
                "{string}"
            );
        }
    }

    #[test]
    fn mistakes_are_told_and_passwords_are_not() {
        for (string, expected) in [
            ("hunter2", "`connectionString` cannot be read"),
            (
                "user=ada password=hunter2",
                "`connectionString` cannot be used: it names no host",
            ),
            ("host=db port=hunter2", "`connectionString` cannot be used: "),
            ("host=db hunter=hunter2", "`connectionString` cannot be used: "),
            ("host=db sslmode=maybe", "`sslmode` is `maybe`"),
        ] {
            let error = Options::new(string).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert_eq!(read(&[]).unwrap_err(), InvalidOptions::NoConnectionString);
        let azure = read(&[("connectionString", "host=db"), ("useAzureAD", "true")]).unwrap_err();
        assert_eq!(azure, InvalidOptions::Unsupported("useAzureAD"));
        for (name, value) in [
            ("timeout", "soon"),
            ("maxConns", "many"),
            ("connMaxIdleTime", "long"),
        ] {
            assert!(read(&[("host", "db"), (name, value)]).is_err(), "{name}");
        }
        for anyway in ["-1", "0"] {
            let pairs = [("host", "db"), ("maxConns", anyway), ("connMaxIdleTime", anyway)];
            let options = read(&pairs).unwrap();
            assert_eq!((options.max_connections, options.max_idle_time), (None, None));
        }
        let pooled = Options::new("postgres://db.example/shop?pool_max_conns=7&pool_min_conns=1").unwrap();
        assert_eq!(pooled.max_connections, Some(7));
    }
}
