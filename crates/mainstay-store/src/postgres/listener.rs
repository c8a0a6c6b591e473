//! Hears what every process has committed, and tells those who watch here.
//!
//! The server sends a notification with each group when it is committed and visible, to this process for its own groups
//! too. What was said while nobody listened is lost, so everybody is woken once after a connection was replaced.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::{AsyncMessage, Client};

use super::checksum::from_database;
use super::error::{OpenError, describe};
use super::reader::MOMENT;
use super::schema::expand;
use super::session::{Connector, Stream};
use crate::version::Version;
use crate::watch::Watchers;

/// How long to wait before the next attempt to connect: doubled after each, up to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// How often to make sure that a silent connection still works.
const PROBE: Duration = Duration::from_secs(5);

/// A connection that listens.
pub(super) struct Listener {
    client: Client,
    stream: Pin<Box<Stream>>,
    /// The moment from which on nothing is missed.
    since: Version,
}

/// What was said.
#[derive(Debug, PartialEq, Eq)]
struct Notice {
    version: Version,
    /// `None` when there are too many to be told.
    keys: Option<Vec<Vec<u8>>>,
}

impl Listener {
    pub(super) async fn open(connector: &Connector) -> Result<Self, OpenError> {
        let (client, stream) = connector.connect().await?;
        let mut listener = Self {
            client,
            stream: Box::pin(stream),
            since: Version::ZERO,
        };
        let begin = listener.begin(connector);
        let limit = connector.options.connect_timeout;
        listener.since = tokio::time::timeout(limit, begin)
            .await
            .unwrap_or_else(|_| Err(OpenError::Unavailable("LISTEN was not answered".into())))?;
        Ok(listener)
    }

    async fn begin(&mut self, connector: &Connector) -> Result<Version, OpenError> {
        let listen = expand("LISTEN {schema}", &connector.options.schema);
        let ask = expand(&format!("SELECT {MOMENT}"), &connector.options.schema);
        let client = &self.client;
        let asking = async {
            client.batch_execute(&listen).await?;
            client.query_one(&ask, &[]).await?.try_get::<_, i64>(0)
        };
        let stream = &mut self.stream;
        // Whatever is said meanwhile is covered by the moment that is asked for after it.
        let driving = async {
            loop {
                match poll_fn(|context| stream.as_mut().get_mut().poll_message(context)).await {
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return describe(&error),
                    None => return "the connection was closed".into(),
                }
            }
        };
        tokio::select! {
            biased;
            reason = driving => Err(OpenError::Unavailable(reason)),
            version = asking => match version {
                Ok(version) => Ok(from_database(version)),
                Err(error) => Err(OpenError::Unavailable(describe(&error))),
            },
        }
    }

    /// Tells what it hears until the connection ends; says why it did.
    async fn hear(&mut self, watchers: &Watchers) -> Arc<str> {
        let Self { client, stream, .. } = self;
        let probing = async {
            loop {
                tokio::time::sleep(PROBE).await;
                match tokio::time::timeout(PROBE, client.batch_execute("")).await {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => return describe(&error),
                    Err(_) => return "the connection is silent".into(),
                }
            }
        };
        let hearing = async {
            loop {
                match poll_fn(|context| stream.as_mut().get_mut().poll_message(context)).await {
                    Some(Ok(AsyncMessage::Notification(notification))) => {
                        tell(watchers, notification.payload());
                    }
                    Some(Ok(_)) => {}
                    Some(Err(error)) => return describe(&error),
                    None => return "the connection was closed".into(),
                }
            }
        };
        tokio::select! {
            reason = hearing => reason,
            reason = probing => reason,
        }
    }
}

/// Hears and tells, over all disconnections, for ever.
pub(super) async fn run(connector: Connector, mut listener: Listener, watchers: Arc<Watchers>) {
    loop {
        let reason = listener.hear(&watchers).await;
        tracing::warn!(%reason, "changes in the store's database cannot be heard");
        let mut pause = FIRST_PAUSE;
        listener = loop {
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
            match Listener::open(&connector).await {
                Ok(listener) => break listener,
                Err(error) => {
                    tracing::debug!(%error, "changes in the store's database still cannot be heard");
                }
            }
        };
        tracing::info!("changes in the store's database can be heard again");
        watchers.changed_anywhere(listener.since);
    }
}

fn tell(watchers: &Watchers, payload: &str) {
    match Notice::parse(payload) {
        Some(Notice {
            version,
            keys: Some(keys),
        }) => watchers.changed(keys.into_iter().map(|key| (key, version))),
        Some(Notice { version, keys: None }) => watchers.changed_anywhere(version),
        None => tracing::warn!("somebody else notifies on the channel of the store"),
    }
}

impl Notice {
    /// `version:key,key,…` with keys in hexadecimal, or `version:*`.
    fn parse(payload: &str) -> Option<Self> {
        let (version, keys) = payload.split_once(':')?;
        let version = Version::from_u64(version.parse().ok()?);
        let keys = match keys {
            "*" => None,
            keys => Some(keys.split(',').map(from_hex).collect::<Option<_>>()?),
        };
        Some(Self { version, keys })
    }
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_are_understood() {
        let version = Version::from_u64(17);
        let keys = Some(vec![b"a".to_vec(), vec![0, 0xFF]]);
        assert_eq!(Notice::parse("17:61,00ff"), Some(Notice { version, keys }));
        assert_eq!(Notice::parse("17:*"), Some(Notice { version, keys: None }));
        for other in ["", "17", "x:61", "17:6x", "17:**"] {
            assert_eq!(Notice::parse(other), None, "{other}");
        }
    }
}
