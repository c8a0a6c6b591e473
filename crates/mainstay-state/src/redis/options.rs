//! What the component can be told: Dapr's names for it.

use std::collections::BTreeMap;

use crate::ttl::TimeToLive;

/// Where the server is, and what is peculiar to state.
#[derive(Clone, Debug)]
pub struct Options {
    /// How to reach it.
    pub server: mainstay_redis::Options,
    /// How long values live of which nothing is said. For ever.
    pub time_to_live: TimeToLive,
}

/// Metadata that cannot be used. Secrets are never part of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidOptions {
    /// The server cannot be reached so.
    #[error(transparent)]
    Server(#[from] mainstay_redis::InvalidOptions),
    /// No life has this length.
    #[error("`ttlInSeconds` is `{0}`: write a number of seconds, or -1 for ever")]
    TimeToLive(String),
    /// Redis itself answers no queries.
    #[error("`queryIndexes` is not supported: use another state store for queries")]
    Queries,
}

impl From<mainstay_redis::Options> for Options {
    fn from(server: mainstay_redis::Options) -> Self {
        Self {
            server,
            time_to_live: TimeToLive::FOREVER,
        }
    }
}

impl Options {
    /// Reads the metadata of a component, whose names may be written in large or small letters; secrets were resolved.
    pub fn from_metadata(metadata: &BTreeMap<String, String>) -> Result<Self, InvalidOptions> {
        let text = |name: &str| {
            let mut found = metadata.iter();
            let found = found.find(|(given, _)| given.eq_ignore_ascii_case(name));
            found
                .map(|(_, value)| value.trim())
                .filter(|value| !value.is_empty())
        };
        let mut options = Self::from(mainstay_redis::Options::from_metadata(metadata)?);
        if text("queryIndexes").is_some() {
            return Err(InvalidOptions::Queries);
        }
        if let Some(given) = text("ttlInSeconds") {
            let time_to_live =
                TimeToLive::parse(given).map_err(|_| InvalidOptions::TimeToLive(given.to_owned()))?;
            options.time_to_live = time_to_live.unwrap_or(TimeToLive::FOREVER);
        }
        Ok(options)
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
    fn what_is_peculiar_to_state_is_read() {
        let options = read(&[("redisHost", "db:7"), ("TTLINSECONDS", "600")]).unwrap();
        assert_eq!((options.server.host.as_str(), options.server.port), ("db", 7));
        assert_eq!(options.time_to_live.as_seconds(), Some(600));
        for forever in ["", "-1"] {
            let options = read(&[("redisHost", "db"), ("ttlInSeconds", forever)]).unwrap();
            assert_eq!(options.time_to_live, TimeToLive::FOREVER, "{forever}");
        }
    }

    #[test]
    fn what_it_cannot_do_is_refused() {
        for (name, value, expected) in [
            ("queryIndexes", "[]", InvalidOptions::Queries),
            (
                "ttlInSeconds",
                "soon",
                InvalidOptions::TimeToLive("soon".to_owned()),
            ),
            (
                "failover",
                "true",
                mainstay_redis::InvalidOptions::Unsupported("failover").into(),
            ),
        ] {
            assert_eq!(read(&[("redisHost", "db"), (name, value)]).unwrap_err(), expected);
        }
    }
}
