//! How to reach a Redis: the metadata of Dapr's Redis components.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use mainstay_base::parse_duration;
use zeroize::Zeroizing;

const DEFAULT_PORT: u16 = 6_379;

/// Most retries: each has a pause, and all of them together the time to connect.
const MAX_RETRIES: u32 = 100;

/// The names of the metadata that [`Options::from_metadata`] reads or knows to be without meaning here: of Dapr's components.
pub const METADATA_NAMES: [&str; 37] = [
    "redisHost",
    "redisPort",
    "redisUsername",
    "redisPassword",
    "redisDB",
    "redisType",
    "enableTLS",
    "insecureSkipTLSVerify",
    "clientCert",
    "clientKey",
    "caCert",
    "dialTimeout",
    "readTimeout",
    "writeTimeout",
    "maxRetries",
    "redisMaxRetries",
    "minRetryBackoff",
    "maxRetryBackoff",
    "redisMinRetryInterval",
    "redisMaxRetryInterval",
    "poolSize",
    "poolTimeout",
    "minIdleConns",
    "idleTimeout",
    "idleCheckFrequency",
    "maxConnAge",
    "failover",
    "sentinelMasterName",
    "sentinelUsername",
    "sentinelPassword",
    "useEntraID",
    "useAzureAD",
    "useOIDC",
    "ttlInSeconds",
    "queryIndexes",
    "maxLenApprox",
    "concurrency",
];

/// How to reach a Redis.
#[derive(Clone)]
pub struct Options {
    /// Its name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// As whom to log in.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Zeroizing<String>>,
    /// Which of its databases.
    pub database: u32,
    /// Whether and how the connection is encrypted.
    pub tls: Option<Tls>,
    /// How long it may take to connect, retries included.
    pub dial_timeout: Duration,
    /// How long an answer may take.
    pub response_timeout: Duration,
    /// How often it is tried again to connect, or to read, before a command fails.
    pub max_retries: u32,
    /// How long to wait before the first of these; doubled after each.
    pub min_retry_interval: Duration,
    /// The longest of these waits.
    pub max_retry_interval: Duration,
}

/// How a connection is encrypted.
#[derive(Clone, Default)]
pub struct Tls {
    /// Whether any certificate of the server will do: for development only.
    pub insecure: bool,
    /// Who signs the server's certificate, in PEM; without it, whom the machine trusts.
    pub authorities: Option<String>,
    /// Certificate and key of this side, both in PEM.
    pub client: Option<(String, Zeroizing<String>)>,
}

/// Metadata that cannot be used. Secrets are never part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOptions {
    /// No host.
    #[error("`redisHost` is missing: write host:port")]
    NoHost,
    /// Not a host.
    #[error("`redisHost` is `{0}`: write host:port")]
    Host(String),
    /// Two different ports.
    #[error("`redisHost` names port {in_host}, `redisPort` is {port}: leave one of them out")]
    Ports {
        /// In `redisHost`.
        in_host: u16,
        /// In `redisPort`.
        port: u16,
    },
    /// Not what it should be.
    #[error("`{name}` is `{value}`: it must be {expected}")]
    Value {
        /// Of what.
        name: String,
        /// What was written.
        value: String,
        /// What should have been.
        expected: &'static str,
    },
    /// One without the other.
    #[error("`clientCert` and `clientKey` belong together: one of them is missing")]
    HalfACertificate,
    /// They would be sent in the clear otherwise.
    #[error("`enableTLS` must be true for the other settings of TLS to have a meaning")]
    TlsIsOff,
    /// Not offered.
    #[error("`{0}` is not supported: Mainstay connects to a single Redis by its address and a password")]
    Unsupported(&'static str),
}

impl Options {
    /// A Redis without password and encryption, such as one on this machine.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            username: None,
            password: None,
            database: 0,
            tls: None,
            dial_timeout: Duration::from_secs(5),
            response_timeout: Duration::from_secs(3),
            max_retries: 3,
            min_retry_interval: Duration::from_millis(8),
            max_retry_interval: Duration::from_millis(512),
        }
    }

    /// Reads the metadata of a component, whose names may be written in large or small letters. What concerns pools is
    /// ignored: all commands share one connection.
    pub fn from_metadata(metadata: &BTreeMap<String, String>) -> Result<Self, InvalidOptions> {
        let metadata = Metadata::new(metadata);
        metadata.refuse_what_is_not_supported()?;
        let (host, port) = metadata.address()?;
        let mut options = Self::new(host, port);
        options.username = metadata.text("redisUsername").map(str::to_owned);
        options.password = metadata.secret("redisPassword");
        options.database = metadata.number("redisDB")?.unwrap_or(0);
        options.tls = metadata.tls()?;
        let duration =
            |names: &[&'static str], default| metadata.duration(names).map(|found| found.unwrap_or(default));
        options.dial_timeout = duration(&["dialTimeout"], options.dial_timeout)?;
        options.response_timeout = duration(&["readTimeout"], options.response_timeout)?;
        let shortest = ["redisMinRetryInterval", "minRetryBackoff"];
        options.min_retry_interval = duration(&shortest, options.min_retry_interval)?;
        let longest = ["redisMaxRetryInterval", "maxRetryBackoff"];
        options.max_retry_interval = duration(&longest, options.max_retry_interval)?;
        for name in ["maxRetries", "redisMaxRetries"] {
            // As in Dapr's client, -1 is none and 0 says nothing.
            if metadata.text(name) == Some("-1") {
                options.max_retries = 0;
            } else if let Some(retries @ 1..) = metadata.number(name)? {
                options.max_retries = retries.min(MAX_RETRIES);
            }
        }
        Ok(options)
    }
}

/// Metadata by names in small letters. What is empty is as good as missing.
struct Metadata<'a>(BTreeMap<String, &'a str>);

impl<'a> Metadata<'a> {
    fn new(metadata: &'a BTreeMap<String, String>) -> Self {
        let given = metadata.iter().filter(|(_, value)| !value.is_empty());
        Self(
            given
                .map(|(name, value)| (name.to_lowercase(), value.as_str()))
                .collect(),
        )
    }

    fn text(&self, name: &str) -> Option<&'a str> {
        self.0.get(&name.to_lowercase()).copied()
    }

    fn secret(&self, name: &str) -> Option<Zeroizing<String>> {
        self.text(name).map(|text| Zeroizing::new(text.to_owned()))
    }

    fn number(&self, name: &str) -> Result<Option<u32>, InvalidOptions> {
        let Some(value) = self.text(name) else {
            return Ok(None);
        };
        let number = value.parse();
        number.map(Some).map_err(|_| invalid(name, value, "a number"))
    }

    fn flag(&self, name: &str) -> Result<bool, InvalidOptions> {
        match self.text(name) {
            None => Ok(false),
            Some(value) => match value.to_lowercase().as_str() {
                "true" | "t" | "1" | "y" | "yes" | "on" => Ok(true),
                "false" | "f" | "0" | "n" | "no" | "off" => Ok(false),
                _ => Err(invalid(name, value, "true or false")),
            },
        }
    }

    /// The first of these that is given: a duration, or a number of milliseconds. Without a bound (`-1`) is not offered.
    fn duration(&self, names: &[&'static str]) -> Result<Option<Duration>, InvalidOptions> {
        for name in names {
            if let Some(value) = self.text(name) {
                let millis = value.parse().map(Duration::from_millis);
                let duration = millis.or_else(|_| parse_duration(value));
                let duration =
                    duration.map_err(|_| invalid(name, value, "a duration such as 3s, or milliseconds"))?;
                // What waits, waits for a time that is worth the name.
                return Ok(Some(duration.max(Duration::from_millis(1))));
            }
        }
        Ok(None)
    }

    fn address(&self) -> Result<(String, u16), InvalidOptions> {
        let given = self.text("redisHost").ok_or(InvalidOptions::NoHost)?;
        let wrong = || InvalidOptions::Host(given.to_owned());
        let port = match self.number("redisPort")? {
            Some(port) => Some(u16::try_from(port).map_err(|_| wrong())?),
            None => None,
        };
        // An IPv6 address stands in brackets when a port follows.
        let (host, in_host) = match given.rsplit_once(':') {
            Some((host, _)) if host.contains(':') && !host.ends_with(']') => (given, None),
            Some((host, port)) => (host, Some(port.parse::<u16>().map_err(|_| wrong())?)),
            None => (given, None),
        };
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        if host.is_empty() || host.contains([',', '/', ' ', '@']) {
            return Err(wrong());
        }
        match (in_host, port) {
            (Some(in_host), Some(port)) if in_host != port => Err(InvalidOptions::Ports { in_host, port }),
            _ => Ok((host.to_owned(), in_host.or(port).unwrap_or(DEFAULT_PORT))),
        }
    }

    fn tls(&self) -> Result<Option<Tls>, InvalidOptions> {
        let insecure = self.flag("insecureSkipTLSVerify")?;
        let client = match (self.text("clientCert"), self.secret("clientKey")) {
            (Some(certificate), Some(key)) => Some((certificate.to_owned(), key)),
            (None, None) => None,
            _ => return Err(InvalidOptions::HalfACertificate),
        };
        let authorities = self.text("caCert").map(str::to_owned);
        let is_on = self.flag("enableTLS")?;
        // Without this, a half-written file would send the password in the clear.
        if !is_on && (insecure || client.is_some() || authorities.is_some()) {
            return Err(InvalidOptions::TlsIsOff);
        }
        Ok(is_on.then_some(Tls {
            insecure,
            authorities,
            client,
        }))
    }

    fn refuse_what_is_not_supported(&self) -> Result<(), InvalidOptions> {
        for name in ["failover", "useEntraID", "useAzureAD", "useOIDC"] {
            if self.flag(name)? {
                return Err(InvalidOptions::Unsupported(name));
            }
        }
        match self.text("redisType") {
            None | Some("node") => Ok(()),
            Some("cluster") => Err(InvalidOptions::Unsupported("redisType: cluster")),
            Some(other) => Err(invalid("redisType", other, "node")),
        }
    }
}

fn invalid(name: &str, value: &str, expected: &'static str) -> InvalidOptions {
    InvalidOptions::Value {
        name: name.to_owned(),
        value: value.to_owned(),
        expected,
    }
}

/// Without the password.
impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("username", &self.username)
            .field("database", &self.database)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// Without the key.
impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Tls")
            .field("insecure", &self.insecure)
            .field("authorities", &self.authorities.is_some())
            .field("client", &self.client.is_some())
            .finish()
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
    fn addresses_are_read() {
        for (host, expected) in [
            ("redis:6380", ("redis", 6_380)),
            ("redis", ("redis", 6_379)),
            ("127.0.0.1:1", ("127.0.0.1", 1)),
            ("[::1]:6380", ("::1", 6_380)),
            ("::1", ("::1", 6_379)),
            ("[::1]", ("::1", 6_379)),
        ] {
            let options = read(&[("redisHost", host)]).unwrap();
            assert_eq!((options.host.as_str(), options.port), expected, "{host}");
        }
        let options = read(&[("redisHost", "redis"), ("redisPort", "7")]).unwrap();
        assert_eq!(options.port, 7);
        for host in ["redis:x", ":6379", "a:1,b:2", "redis://x", "redis:70000"] {
            assert!(read(&[("redisHost", host)]).is_err(), "{host}");
        }
        assert_eq!(read(&[]).unwrap_err(), InvalidOptions::NoHost);
        let ports = read(&[("redisHost", "redis:1"), ("redisPort", "2")]).unwrap_err();
        assert_eq!(ports, InvalidOptions::Ports { in_host: 1, port: 2 });
    }

    #[test]
    fn the_rest_is_read() {
        let options = read(&[
            ("REDISHOST", "redis"),
            ("redisUsername", "ada"),
            ("redisPassword", "hunter2"),
            ("redisDB", "3"),
            ("enableTLS", "true"),
            ("dialTimeout", "2s"),
            ("readTimeout", "250"),
            ("maxRetries", "5"),
            ("redisMaxRetries", "-1"),
            ("minRetryBackoff", "7"),
            ("redisMaxRetryInterval", "1s"),
            ("caCert", "PEM"),
            ("poolSize", "20"),
        ])
        .unwrap();
        assert_eq!(options.username.as_deref(), Some("ada"));
        assert_eq!(
            options.password.as_ref().map(|password| password.as_str()),
            Some("hunter2")
        );
        assert_eq!((options.database, options.max_retries), (3, 0));
        assert_eq!(options.dial_timeout, Duration::from_secs(2));
        assert_eq!(options.response_timeout, Duration::from_millis(250));
        assert_eq!(options.min_retry_interval, Duration::from_millis(7));
        assert_eq!(options.max_retry_interval, Duration::from_secs(1));
        let tls = options.tls.clone().unwrap();
        assert!(!tls.insecure && tls.client.is_none());
        assert_eq!(tls.authorities.as_deref(), Some("PEM"));
        assert!(!format!("{options:?}").contains("hunter2"));
        assert!(
            read(&[("redisHost", "redis"), ("redisPassword", "")])
                .unwrap()
                .password
                .is_none()
        );
    }

    #[test]
    fn mistakes_are_told() {
        for (name, value, expected) in [
            ("redisDB", "x", "`redisDB` is `x`: it must be a number"),
            (
                "enableTLS",
                "maybe",
                "`enableTLS` is `maybe`: it must be true or false",
            ),
            (
                "readTimeout",
                "-1",
                "`readTimeout` is `-1`: it must be a duration such as 3s, or milliseconds",
            ),
            (
                "clientKey",
                "k",
                "`clientCert` and `clientKey` belong together: one of them is missing",
            ),
            (
                "insecureSkipTLSVerify",
                "true",
                "`enableTLS` must be true for the other settings of TLS to have a meaning",
            ),
            (
                "redisType",
                "sentinel",
                "`redisType` is `sentinel`: it must be node",
            ),
        ] {
            let error = read(&[("redisHost", "redis"), (name, value)]).unwrap_err();
            assert_eq!(error.to_string(), expected);
        }
        for (name, value) in [
            ("redisType", "cluster"),
            ("failover", "true"),
            ("useEntraID", "true"),
        ] {
            let error = read(&[("redisHost", "redis"), (name, value)]).unwrap_err();
            assert!(matches!(error, InvalidOptions::Unsupported(_)), "{name}");
        }
    }
}
