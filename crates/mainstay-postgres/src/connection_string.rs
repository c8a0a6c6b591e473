//! Connection strings: libpq's two forms, with the words of Dapr's driver besides.

use crate::options::InvalidOptions;

/// A connection string taken apart: keywords and their values, in their order. A URL says the same in other words.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct ConnectionString {
    parameters: Vec<(String, String)>,
}

/// How many connections a pool has at most; the other words about pools mean nothing here.
const POOL_SIZE: &str = "pool_max_conns";

/// Words of Dapr's driver (pgx) that say how it prepares; what they are about does not exist here.
const IGNORED: [&str; 4] = [
    "default_query_exec_mode",
    "description_cache_capacity",
    "min_read_buffer_size",
    "statement_cache_capacity",
];

impl ConnectionString {
    pub(crate) fn parse(text: &str) -> Result<Self, InvalidOptions> {
        let text = text.trim();
        let url = text
            .strip_prefix("postgres://")
            .or_else(|| text.strip_prefix("postgresql://"));
        let parameters = url.map_or_else(|| keywords(text), url_parameters);
        let parameters = parameters.ok_or(InvalidOptions::ConnectionString)?;
        // What is hardly a name, such as a misspelt `postgres://`, is not repeated in an error: it may hold a password.
        if !parameters.iter().all(|(name, _)| is_name(name)) {
            return Err(InvalidOptions::ConnectionString);
        }
        let known = parameters
            .into_iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), value))
            .filter(|(name, _)| name == POOL_SIZE || !name.starts_with("pool_"))
            .filter(|(name, _)| !IGNORED.contains(&name.as_str()));
        let renamed = known.map(|(name, value)| match name.as_str() {
            "database" => ("dbname".to_owned(), value),
            _ => (name, value),
        });
        Ok(Self {
            parameters: renamed.collect(),
        })
    }

    /// Says something instead of what was said of it.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.parameters.retain(|(found, _)| found != name);
        self.parameters.push((name.to_owned(), value.to_owned()));
    }

    /// Takes a parameter out.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.parameters.iter().position(|(found, _)| found == name)?;
        Some(self.parameters.remove(at).1)
    }

    /// In the form of keywords.
    pub(crate) fn keywords(&self) -> String {
        let quoted = self.parameters.iter().map(|(name, value)| {
            let value = value.replace('\\', "\\\\").replace('\'', "\\'");
            format!("{name}='{value}'")
        });
        quoted.collect::<Vec<_>>().join(" ")
    }
}

fn is_name(text: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !text.is_empty() && text.bytes().all(is_plain)
}

/// What follows `postgres://`: `user:password@host:port,host:port/database?name=value&…`, all but the hosts optional.
fn url_parameters(url: &str) -> Option<Vec<(String, String)>> {
    let (url, query) = url.split_once('?').unwrap_or((url, ""));
    let (authority, database) = url.split_once('/').unwrap_or((url, ""));
    let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in hosts.split(',') {
        // An IPv6 address stands in brackets.
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if !port.ends_with(']') => (name, port),
            _ => (host, ""),
        };
        let name = name
            .strip_prefix('[')
            .and_then(|name| name.strip_suffix(']'))
            .unwrap_or(name);
        names.push(decode(name)?);
        ports.push(if port.is_empty() { "5432" } else { port });
    }
    let mut found = vec![
        ("host".to_owned(), names.join(",")),
        ("port".to_owned(), ports.join(",")),
    ];
    for (name, value) in [("user", user), ("password", password), ("dbname", database)] {
        found.push((name.to_owned(), decode(value)?));
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=')?;
        found.push((decode(name)?, decode(value)?));
    }
    found.retain(|(_, value)| !value.is_empty());
    Some(found)
}

/// Percent-encoding undone.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        if *first == b'%' {
            let (digits, tail) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = tail;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

/// `name = value` pairs between blanks; a value may stand in single quotes, and `\` takes the next letter as it is.
fn keywords(text: &str) -> Option<Vec<(String, String)>> {
    let mut letters = text.chars().peekable();
    let mut found = Vec::new();
    loop {
        while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
        if letters.peek().is_none() {
            return Some(found);
        }
        let mut name = String::new();
        while let Some(letter) = letters.next_if(|letter| *letter != '=' && !letter.is_whitespace()) {
            name.push(letter);
        }
        while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
        letters.next_if_eq(&'=')?;
        while letters.next_if(|letter| letter.is_whitespace()).is_some() {}
        let quoted = letters.next_if_eq(&'\'').is_some();
        let mut value = String::new();
        loop {
            match letters.next() {
                Some('\'') if quoted => break,
                Some('\\') => value.push(letters.next()?),
                Some(letter) if letter.is_whitespace() && !quoted => break,
                Some(letter) => value.push(letter),
                None if quoted => return None,
                None => break,
            }
        }
        found.push((name, value));
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parameters(text: &str) -> Vec<(String, String)> {
        ConnectionString::parse(text).unwrap().parameters
    }

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn quotes_and_escapes_are_read() {
        assert_eq!(
            parameters(r"host=localhost user = ada password='it\'s a \\ b' database=shop pool_max_conns=4"),
            pairs(&[
                ("host", "localhost"),
                ("user", "ada"),
                ("password", r"it's a \ b"),
                ("dbname", "shop"),
                ("pool_max_conns", "4")
            ])
        );
        for wrong in [
            "host",
            "host='x",
            "host=x user",
            "=x",
            "poStgres://ada:hunter2@db/shop?sslmode=x",
        ] {
            assert_eq!(
                ConnectionString::parse(wrong),
                Err(InvalidOptions::ConnectionString),
                "{wrong}"
            );
        }
    }

    #[test]
    fn urls_are_read() {
        let url = "postgres://ada:p%40w@db:1,[::1]/shop?sslmode=verify-full&pool_min_conns=1&options=-c%20x";
        let mut found = ConnectionString::parse(url).unwrap();
        assert_eq!(found.take("sslmode").as_deref(), Some("verify-full"));
        found.set("dbname", "other");
        assert_eq!(
            found.parameters,
            pairs(&[
                ("host", "db,::1"),
                ("port", "1,5432"),
                ("user", "ada"),
                ("password", "p@w"),
                ("options", "-c x"),
                ("dbname", "other")
            ])
        );
        assert_eq!(
            parameters("postgresql://%2Frun%2Fpg"),
            pairs(&[("host", "/run/pg"), ("port", "5432")])
        );
        for wrong in ["postgres://db/shop?a", "postgres://%zz/", "postgres://%2"] {
            assert_eq!(
                ConnectionString::parse(wrong),
                Err(InvalidOptions::ConnectionString),
                "{wrong}"
            );
        }
    }

    #[test]
    fn keywords_are_written_as_they_are_read() {
        let text = r"password='it\'s a \\ b' user=''";
        let found = ConnectionString::parse(text).unwrap();
        assert_eq!(parameters(&found.keywords()), found.parameters);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in ".{0,60}", url in "postgres://[a-z:@/?&=%,0-9\\[\\]]{0,40}") {
            let _ = (ConnectionString::parse(&text), ConnectionString::parse(&url));
        }

        #[test]
        fn what_is_written_is_read(values in proptest::collection::vec(".{0,12}", 0..4)) {
            let mut string = ConnectionString::default();
            for (number, value) in values.iter().enumerate() {
                string.set(&format!("name{number}"), value);
            }
            prop_assert_eq!(ConnectionString::parse(&string.keywords()).unwrap(), string);
        }
    }
}
