//! What the component can be told: Dapr's names for it.

use std::fmt;
use std::time::Duration;

use crate::metadata::{InvalidMetadata, Reader, Span, Unit};
use crate::ttl::TimeToLive;

const DEFAULT_PORT: u16 = 6_379;

/// Of Dapr's client, which has a pool of connections; here one connection serves all calls, and one limit holds for the
/// sending and the answer.
const WITHOUT_EFFECT: &[&str] = &[
    "idleCheckFrequency",
    "idleTimeout",
    "maxConnAge",
    "minIdleConns",
    "poolSize",
    "poolTimeout",
    "writeTimeout",
];

/// The names of the metadata that [`Options::parse`] reads or knows to be without effect.
pub const METADATA_NAMES: &[&str] = &[
    "caCert",
    "clientCert",
    "clientKey",
    "dialTimeout",
    "enableTLS",
    "failover",
    "idleCheckFrequency",
    "idleTimeout",
    "insecureSkipTLSVerify",
    "maxConnAge",
    "maxRetries",
    "maxRetryBackoff",
    "minIdleConns",
    "minRetryBackoff",
    "poolSize",
    "poolTimeout",
    "queryIndexes",
    "readTimeout",
    "redisDB",
    "redisHost",
    "redisMaxRetries",
    "redisMaxRetryInterval",
    "redisMinRetryInterval",
    "redisPassword",
    "redisPort",
    "redisType",
    "redisUsername",
    "ttlInSeconds",
    "useEntraID",
    "useOIDC",
    "writeTimeout",
];

/// Where the server is, and how to talk to it.
#[derive(Clone, PartialEq, Eq)]
pub struct Options {
    /// A name or an address.
    pub host: String,
    /// The port. 6379.
    pub port: u16,
    /// As whom to log in, when not as the default user.
    pub username: Option<String>,
    /// With what.
    pub password: Option<String>,
    /// The number of the database. 0.
    pub database: u32,
    /// Whether to speak TLS, and how.
    pub tls: Option<Tls>,
    /// How often to try again to connect, or to read. 3.
    pub max_retries: u32,
    /// How long to wait before the first retry; it doubles with each. 8 ms.
    pub min_retry_interval: Duration,
    /// The longest wait between retries. 512 ms.
    pub max_retry_interval: Duration,
    /// How long it may take to connect, retries included. 5 s.
    pub dial_timeout: Duration,
    /// How long a call may take. 3 s.
    pub read_timeout: Duration,
    /// How long values live of which nothing is said. For ever.
    pub time_to_live: TimeToLive,
    /// What was given and means nothing here.
    pub without_effect: Vec<&'static str>,
}

/// How to speak TLS.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Takes any certificate for the server's: for tests only.
    pub insecure_skip_verify: bool,
    /// Who signs the server's certificate, as PEM; without it, whom the machine trusts.
    pub authorities: Option<String>,
    /// The certificate and the key to log in with, as PEM.
    pub client: Option<(String, String)>,
}

impl Options {
    /// The server there, without a password and without TLS.
    pub fn new(host: impl Into<String>, port: u16) -> Self {
        Self {
            host: host.into(),
            port,
            username: None,
            password: None,
            database: 0,
            tls: None,
            max_retries: 3,
            min_retry_interval: Duration::from_millis(8),
            max_retry_interval: Duration::from_millis(512),
            dial_timeout: Duration::from_secs(5),
            read_timeout: Duration::from_secs(3),
            time_to_live: TimeToLive::FOREVER,
            without_effect: Vec::new(),
        }
    }

    /// Reads the metadata of a component file, of which secrets were resolved; names are compared without regard to case.
    /// Beyond Dapr's there is `caCert`, the certificates that sign the server's, as PEM.
    pub fn parse<'a>(
        metadata: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Result<Self, Vec<InvalidMetadata>> {
        let mut reader = Reader::new(metadata, METADATA_NAMES);
        refuse_unsupported(&mut reader);
        let (host, port) = read_address(&mut reader);
        let mut options = Self::new(host, port);
        options.username = reader.text(&["redisUsername"]).map(str::to_owned);
        options.password = reader.text(&["redisPassword"]).map(str::to_owned);
        options.database = reader.number(&["redisDB"]).unwrap_or(0);
        options.tls = read_tls(&mut reader);
        options.read_limits(&mut reader);
        if let Some(text) = reader.text(&["ttlInSeconds"]) {
            match TimeToLive::parse(text) {
                Ok(time_to_live) => options.time_to_live = time_to_live.unwrap_or(TimeToLive::FOREVER),
                Err(_) => reader.invalid("ttlInSeconds", "write a number of seconds, or -1 for ever"),
            }
        }
        options.without_effect = reader.present(WITHOUT_EFFECT);
        reader.finish(options)
    }

    fn read_limits(&mut self, reader: &mut Reader<'_>) {
        if let Some(retries) = reader.number::<i32>(&["redisMaxRetries", "maxRetries"]) {
            // As in Dapr's client, -1 is none and 0 says nothing.
            self.max_retries = match retries {
                0 => self.max_retries,
                retries => u32::try_from(retries).unwrap_or(0).min(100),
            };
        }
        let durations: [(&[&'static str], &mut Duration); 4] = [
            (
                &["redisMinRetryInterval", "minRetryBackoff"],
                &mut self.min_retry_interval,
            ),
            (
                &["redisMaxRetryInterval", "maxRetryBackoff"],
                &mut self.max_retry_interval,
            ),
            (&["dialTimeout"], &mut self.dial_timeout),
            (&["readTimeout"], &mut self.read_timeout),
        ];
        for (names, duration) in durations {
            match reader.duration(names, Unit::Milliseconds) {
                Span::For(said) if !said.is_zero() => *duration = said,
                Span::Off => match names {
                    [name] => reader.invalid(name, "every call has a limit here: write a duration"),
                    _ => *duration = Duration::ZERO,
                },
                _ => {}
            }
        }
    }
}

fn refuse_unsupported(reader: &mut Reader<'_>) {
    if !matches!(reader.text(&["redisType"]), None | Some("node")) {
        let reason = "only single nodes are; leave it out, or name a proxy of the cluster";
        reader.unsupported("redisType", reason);
    }
    for (name, reason) in [
        ("failover", "name the primary itself in redisHost, not a sentinel"),
        ("useEntraID", "log in with redisUsername and redisPassword"),
        ("useOIDC", "log in with redisUsername and redisPassword"),
    ] {
        if reader.flag(name) {
            reader.unsupported(name, reason);
        }
    }
    if reader.text(&["queryIndexes"]).is_some() {
        reader.unsupported(
            "queryIndexes",
            "Redis itself answers no queries; use another state store for them",
        );
    }
}

fn read_address(reader: &mut Reader<'_>) -> (String, u16) {
    let host = reader.required(&["redisHost"]);
    let port = reader.number::<u16>(&["redisPort"]);
    let Some((name, own_port)) = split_host(host) else {
        reader.invalid("redisHost", "write one host, or host:port");
        return (String::new(), 0);
    };
    if let (Some(port), Some(own_port)) = (port, own_port)
        && port != own_port
    {
        reader.invalid(
            "redisPort",
            format!("redisHost says port {own_port}: leave one of them out"),
        );
    }
    (name.to_owned(), own_port.or(port).unwrap_or(DEFAULT_PORT))
}

/// `host`, `host:port`, `[address]:port` or an IPv6 address.
fn split_host(host: &str) -> Option<(&str, Option<u16>)> {
    if host.contains([',', '/', ' ']) {
        return None;
    }
    if let Some(rest) = host.strip_prefix('[') {
        let (address, rest) = rest.split_once(']')?;
        return match rest.strip_prefix(':') {
            Some(port) => Some((address, Some(port.parse().ok()?))),
            None if rest.is_empty() => Some((address, None)),
            None => None,
        };
    }
    match host.split_once(':') {
        Some((name, port)) if !port.contains(':') => Some((name, Some(port.parse().ok()?))),
        _ => Some((host, None)),
    }
}

fn read_tls(reader: &mut Reader<'_>) -> Option<Tls> {
    let client = match (reader.text(&["clientCert"]), reader.text(&["clientKey"])) {
        (Some(certificate), Some(key)) => Some((certificate.to_owned(), key.to_owned())),
        (None, None) => None,
        (Some(_), None) => {
            reader.invalid("clientCert", "it needs clientKey too");
            None
        }
        (None, Some(_)) => {
            reader.invalid("clientKey", "it needs clientCert too");
            None
        }
    };
    let tls = Tls {
        insecure_skip_verify: reader.flag("insecureSkipTLSVerify"),
        authorities: reader.text(&["caCert"]).map(str::to_owned),
        client,
    };
    if reader.flag("enableTLS") {
        return Some(tls);
    }
    // Without this, a half-written file would send the password in the clear.
    if tls != Tls::default() {
        reader.invalid(
            "enableTLS",
            "it must be true for the other options of TLS to have a meaning",
        );
    }
    None
}

/// Passwords and keys are not shown.
impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Options")
            .field("host", &self.host)
            .field("port", &self.port)
            .field("database", &self.database)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// As for [`Options`].
impl fmt::Debug for Tls {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Tls")
            .field("insecure_skip_verify", &self.insecure_skip_verify)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_component_file_is_read() {
        let options = Options::parse([
            ("redisHost", "cache.example:6380"),
            ("redisUsername", "app"),
            ("redisPassword", "s3cret"),
            ("redisDB", "2"),
            ("enableTLS", "true"),
            ("redisMaxRetries", "-1"),
            ("redisMaxRetryInterval", "1s"),
            ("dialTimeout", "700"),
            ("ttlInSeconds", "600"),
            ("poolSize", "20"),
            ("keyPrefix", "none"),
        ])
        .unwrap();
        assert_eq!((options.host.as_str(), options.port), ("cache.example", 6_380));
        assert_eq!(options.username.as_deref(), Some("app"));
        assert_eq!(options.tls, Some(Tls::default()));
        assert_eq!((options.database, options.max_retries), (2, 0));
        assert_eq!(options.max_retry_interval, Duration::from_secs(1));
        assert_eq!(options.dial_timeout, Duration::from_millis(700));
        assert_eq!(options.time_to_live.as_seconds(), Some(600));
        assert_eq!(options.without_effect, ["poolSize"]);
        assert!(!format!("{options:?}").contains("s3cret"));
    }

    #[test]
    fn hosts_have_ports() {
        let address = |host, port| {
            let options = Options::parse([("redisHost", host), ("redisPort", port)]);
            options.map(|options| format!("{} {}", options.host, options.port))
        };
        for (host, port, expected) in [
            ("db", "", "db 6379"),
            ("db", "7", "db 7"),
            ("db:8", "8", "db 8"),
            ("[::1]:9", "", "::1 9"),
            ("::1", "", "::1 6379"),
        ] {
            assert_eq!(address(host, port).as_deref(), Ok(expected), "{host}");
        }
        for (host, port) in [
            ("a:1,b:2", ""),
            ("db:x", ""),
            ("db:8", "9"),
            ("", ""),
            ("redis://db", ""),
        ] {
            assert!(address(host, port).is_err(), "{host}");
        }
    }

    #[test]
    fn what_it_cannot_do_is_refused() {
        for (name, value) in [
            ("redisType", "cluster"),
            ("failover", "true"),
            ("useEntraID", "true"),
            ("insecureSkipTLSVerify", "true"),
            ("readTimeout", "-1"),
            ("redishots", "x"),
        ] {
            let mistakes = Options::parse([("redisHost", "db"), (name, value)]).unwrap_err();
            assert_eq!(mistakes.len(), 1, "{name}: {mistakes:?}");
        }
        assert!(Options::parse([("redisHost", "db"), ("redisType", "node")]).is_ok());
    }
}
