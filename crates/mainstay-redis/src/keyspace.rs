//! Being told of changes of keys (Redis' keyspace notifications).

use std::collections::HashMap;

use redis::cmd;

use crate::client::Redis;
use crate::error::RedisError;

/// The server's setting for which notifications it sends.
const NOTIFICATIONS: &str = "notify-keyspace-events";

impl Redis {
    /// Makes the server publish what happens to keys, with what others need besides. Cancel safe.
    ///
    /// # Errors
    /// [`RedisError::Refused`] when it does not let itself be told; whether it publishes is not known then.
    pub async fn tell_of_keys(&self) -> Result<(), RedisError> {
        let told = async {
            let mut settings: HashMap<String, String> =
                self.run(cmd("CONFIG").arg("GET").arg(NOTIFICATIONS)).await?;
            let present = settings.remove(NOTIFICATIONS).unwrap_or_default();
            if present.contains('K') && present.contains('A') {
                return Ok(());
            }
            let wanted = format!("{present}KA");
            self.run(cmd("CONFIG").arg("SET").arg(NOTIFICATIONS).arg(wanted))
                .await
        };
        told.await.map_err(|error| match error {
            RedisError::Refused(reason) => {
                let reason = format!("{NOTIFICATIONS} has to be KA, and cannot be set ({reason})");
                RedisError::Refused(reason.into())
            }
            other => other,
        })
    }

    /// Where it publishes what happens to a key; keys that begin with this one have channels that begin so.
    pub fn channel_of_key(&self, key: &str) -> String {
        format!("__keyspace@{}__:{key}", self.options().database)
    }
}

/// A pattern of Redis that matches what begins with this text, and nothing else.
pub fn pattern(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len() + 1);
    for character in prefix.chars() {
        if matches!(character, '*' | '?' | '[' | ']' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('*');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_mean_the_prefix_itself() {
        assert_eq!(pattern("app||"), "app||*");
        assert_eq!(pattern("a*b?[c]\\"), "a\\*b\\?\\[c\\]\\\\*");
        assert_eq!(pattern(""), "*");
    }
}
