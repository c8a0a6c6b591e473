//! Hearing `NOTIFY`.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;

use tokio_postgres::{AsyncMessage, Client};

use crate::client::{Postgres, Stream};
use crate::error::PostgresError;

/// Longest name of a channel in bytes.
const MAX_CHANNEL_BYTES: usize = 63;

/// What is notified on a channel, on a connection of its own. What is not taken waits at the server, not in memory here.
pub struct Notifications {
    stream: Pin<Box<Stream>>,
    /// The connection ends without it.
    _client: Client,
}

impl Postgres {
    /// Hears what is notified on `channel`. What is notified after this was answered is not missed, as long as the connection
    /// lasts. Cancel safe.
    pub async fn listen(&self, channel: &str) -> Result<Notifications, PostgresError> {
        if channel.is_empty() || channel.len() > MAX_CHANNEL_BYTES || channel.contains('\0') {
            let reason = format!(
                "`{}` is no channel: 1 to {MAX_CHANNEL_BYTES} bytes",
                channel.escape_debug()
            );
            return Err(PostgresError::Refused(reason.into()));
        }
        let statement = format!("LISTEN \"{}\"", channel.replace('"', "\"\""));
        let (client, stream) = self.open().await?;
        let mut notifications = Notifications {
            stream: Box::pin(stream),
            _client: client,
        };
        let listening = notifications.listen(&statement);
        self.within(listening, PostgresError::Unavailable).await?;
        Ok(notifications)
    }
}

impl Notifications {
    /// The connection only moves when it is polled, so both sides are.
    async fn listen(&mut self, statement: &str) -> Result<(), PostgresError> {
        let Self {
            stream,
            _client: client,
        } = self;
        let asking = client.batch_execute(statement);
        let driving = async {
            // What is said before the answer was not asked for yet.
            while let Some(Ok(_)) = poll_fn(|context| stream.as_mut().get_mut().poll_message(context)).await {
            }
        };
        tokio::select! {
            answered = asking => Ok(answered?),
            () = driving => Err(PostgresError::Unavailable("the connection was closed".into())),
        }
    }

    /// The payload of the next notification; `None` when the connection has ended. Cancel safe.
    pub async fn next(&mut self) -> Option<String> {
        loop {
            let message = poll_fn(|context| self.stream.as_mut().get_mut().poll_message(context)).await;
            match message? {
                Ok(AsyncMessage::Notification(notification)) => {
                    return Some(notification.payload().to_owned());
                }
                Ok(_) => {}
                Err(error) => {
                    tracing::debug!(error = %crate::error::describe(&error), "a connection to PostgreSQL ended");
                    return None;
                }
            }
        }
    }
}

/// What was notified may be secret.
impl fmt::Debug for Notifications {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Notifications").finish_non_exhaustive()
    }
}
