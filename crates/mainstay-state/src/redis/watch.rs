//! Hearing that keys changed.

use std::time::Duration;

use mainstay_redis::{Redis as Server, RedisError, Topics, pattern};

use super::read_error;
use crate::error::StateError;
use crate::watch::Watch;

/// How long to wait before a broken connection is made again.
const PAUSE: Duration = Duration::from_secs(1);

/// Hears of keys that begin with `prefix`, as long as the watch lives. Cancel safe.
pub(super) async fn watch(server: &Server, prefix: &str) -> Result<Watch, StateError> {
    server.tell_of_keys().await.map_err(|error| match error {
        RedisError::Refused(reason) => StateError::NotTold(reason),
        other => read_error(&other),
    })?;
    let topic = pattern(&server.channel_of_key(prefix));
    let messages = server.subscribe(Topics::Pattern(&topic)).await;
    let mut messages = messages.map_err(|error| read_error(&error))?;
    let server = server.clone();
    Ok(Watch::of_task(|told| async move {
        loop {
            while messages.next_channel().await.is_some() {
                told.send_replace(());
            }
            messages = again(&server, &topic).await;
            // What happened meanwhile was not heard.
            told.send_replace(());
        }
    }))
}

/// However long it takes.
async fn again(server: &Server, topic: &str) -> mainstay_redis::Messages {
    loop {
        tokio::time::sleep(PAUSE).await;
        // A server that was started again has forgotten what it was told.
        if server.tell_of_keys().await.is_ok()
            && let Ok(messages) = server.subscribe(Topics::Pattern(topic)).await
        {
            return messages;
        }
    }
}
