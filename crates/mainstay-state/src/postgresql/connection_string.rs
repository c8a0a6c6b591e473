//! Connection strings as Dapr takes them, in the words that our client knows. Pure.

use std::fmt::Write as _;
use std::path::PathBuf;

/// Settings of Dapr's client alone.
const DROPPED: &[&str] = &[
    "default_query_exec_mode",
    "description_cache_capacity",
    "statement_cache_capacity",
];

/// What a connection string says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Connection {
    /// For our client. May hold a password.
    pub settings: String,
    /// `sslrootcert`.
    pub root_certificates: Option<PathBuf>,
    /// `pool_max_conns`.
    pub max_connections: Option<usize>,
}

/// What cannot be read. Tells nothing of the string, which may hold a password.
pub(crate) type Malformed = &'static str;

/// Reads a URL, or settings as `host=db user=me`, which `overrides` replace.
pub(crate) fn parse(text: &str, overrides: &[(&'static str, &str)]) -> Result<Connection, Malformed> {
    if text.starts_with("postgres://") || text.starts_with("postgresql://") {
        return if overrides.is_empty() {
            parse_url(text)
        } else {
            Err(
                "a URL says all of it: leave out host, hostaddr, port, database, user and password, or the URL",
            )
        };
    }
    let mut connection = Connection::default();
    let settings = split(text)?;
    let own = settings
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()));
    let replaced = |name: &str| overrides.iter().any(|(given, _)| *given == canonical(name));
    let own = own.filter(|(name, _)| !replaced(name));
    for (name, value) in own.chain(overrides.iter().copied()) {
        if let Some((name, value)) = connection.take(name, value)? {
            let quoted = value.replace('\\', "\\\\").replace('\'', "\\'");
            // Writing into a text does not fail.
            let _ = write!(connection.settings, "{name}='{quoted}' ");
        }
    }
    Ok(connection)
}

fn parse_url(url: &str) -> Result<Connection, Malformed> {
    let mut connection = Connection::default();
    let (server, query) = url.split_once('?').unwrap_or((url, ""));
    server.clone_into(&mut connection.settings);
    let mut separator = '?';
    for setting in query.split('&').filter(|setting| !setting.is_empty()) {
        let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
        // What is not ours to understand keeps its escapes.
        if name == "sslrootcert" {
            connection.take(name, &unescape(value)?)?;
        } else if let Some((name, value)) = connection.take(name, value)? {
            let _ = write!(connection.settings, "{separator}{name}={value}");
            separator = '&';
        }
    }
    Ok(connection)
}

impl Connection {
    /// Keeps what is not for the client, and gives the rest in the client's words.
    fn take<'a>(&mut self, name: &'a str, value: &'a str) -> Result<Option<(&'a str, &'a str)>, Malformed> {
        Ok(match canonical(name) {
            "sslrootcert" => {
                self.root_certificates = (!value.is_empty()).then(|| value.into());
                None
            }
            "pool_max_conns" => {
                let number = value.parse().map_err(|_| "pool_max_conns must be a number")?;
                self.max_connections = Some(number);
                None
            }
            name if name.starts_with("pool_") || DROPPED.contains(&name) => None,
            // A certificate is always checked, name included.
            "sslmode" if value == "verify-ca" || value == "verify-full" => Some(("sslmode", "require")),
            "sslmode" if value == "allow" => Some(("sslmode", "prefer")),
            name => Some((name, value)),
        })
    }
}

fn canonical(name: &str) -> &str {
    if name == "database" { "dbname" } else { name }
}

/// Settings `name=value`, between spaces; a value with spaces stands in `'`, and `\` takes the next character as it is.
fn split(text: &str) -> Result<Vec<(String, String)>, Malformed> {
    let mut settings = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        while rest.next_if(|character| character.is_whitespace()).is_some() {}
        if rest.peek().is_none() {
            return Ok(settings);
        }
        let mut name = String::new();
        while let Some(character) = rest.next_if(|character| *character != '=') {
            name.push(character);
        }
        let name = name.trim();
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if rest.next().is_none() || name.is_empty() || !name.bytes().all(is_name) {
            return Err("write a URL, or settings as host=db user=me");
        }
        while rest.next_if(|character| character.is_whitespace()).is_some() {}
        let is_quoted = rest.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        loop {
            match rest.next() {
                Some('\'') if is_quoted => break,
                None if is_quoted => return Err("a quote in it is not closed"),
                Some(character) if !is_quoted && character.is_whitespace() => break,
                Some('\\') => value.push(rest.next().ok_or("it ends with a backslash")?),
                Some(character) => value.push(character),
                None => break,
            }
        }
        settings.push((name.to_ascii_lowercase(), value));
    }
}

/// Takes `%20` and the like for what they stand for.
fn unescape(text: &str) -> Result<String, Malformed> {
    const WRONG: Malformed = "an escape with % in it is not complete";
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(if byte == b'%' {
            let mut digit = || char::from(rest.next()?).to_digit(16);
            let (high, low) = (digit().ok_or(WRONG)?, digit().ok_or(WRONG)?);
            u8::try_from(high * 16 + low).map_err(|_| WRONG)?
        } else {
            byte
        });
    }
    String::from_utf8(bytes).map_err(|_| WRONG)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Result<String, Malformed> {
        parse(text, &[]).map(|connection| connection.settings)
    }

    #[test]
    fn settings_are_translated() {
        for (text, expected) in [
            (
                "host=db user=me database=shop sslmode=verify-full pool_max_conns=3",
                "host='db' user='me' dbname='shop' sslmode='require' ",
            ),
            (r"password='a b\'c\\' port=7", r"password='a b\'c\\' port='7' "),
            ("", ""),
        ] {
            assert_eq!(settings(text).as_deref(), Ok(expected), "{text}");
        }
        for wrong in [
            "nonsense",
            "a='b",
            "a=b\\",
            "a='b'c d=e",
            "poStgres://db/x?a=b",
            "=b",
        ] {
            assert!(settings(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn urls_are_translated() {
        let url = "postgres://u:p%20w@db/x?sslmode=verify-ca&sslrootcert=%2Fetc%2Fca.pem&pool_max_conns=9&\
                   pool_min_conns=1&connect_timeout=3";
        let expected = Connection {
            settings: "postgres://u:p%20w@db/x?sslmode=require&connect_timeout=3".to_owned(),
            root_certificates: Some("/etc/ca.pem".into()),
            max_connections: Some(9),
        };
        assert_eq!(parse(url, &[]), Ok(expected));
    }

    #[test]
    fn other_names_win() {
        let overrides = [("host", "new"), ("dbname", "shop")];
        let connection = parse("host=old user=me database=old", &overrides).unwrap();
        assert_eq!(connection.settings, "user='me' host='new' dbname='shop' ");
        assert!(parse("postgres://u@db/x", &overrides).is_err());
    }
}
