//! Secrets that clients show.

use std::fmt;
use std::hint::black_box;
use std::sync::Arc;

/// A secret that a client must show: an app `DAPR_API_TOKEN`, a user of the control API the token of the data directory.
/// Compared in constant time, never printed.
#[derive(Clone)]
pub struct AppToken(Arc<str>);

impl AppToken {
    /// The token with this text.
    pub fn new(secret: &str) -> Self {
        Self(secret.into())
    }

    /// Whether there is nothing to know: such a token protects nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `shown` is this secret. The time it takes tells nothing but the length of what was shown.
    pub(crate) fn matches(&self, shown: &[u8]) -> bool {
        let secret = self.0.as_bytes();
        let lengths_differ = u8::from(secret.len() != shown.len());
        let difference = shown
            .iter()
            .zip(secret.iter().cycle())
            .fold(lengths_differ, |difference, (shown, secret)| {
                black_box(difference | (shown ^ secret))
            });
        difference == 0 && !self.is_empty()
    }
}

impl fmt::Debug for AppToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("AppToken(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_secret_itself_matches() {
        let token = AppToken::new("secret");
        assert!(token.matches(b"secret"));
        for shown in [
            &b""[..],
            b"s",
            b"secre",
            b"secret1",
            b"secretsecret",
            b"Secret",
            b"terces",
        ] {
            assert!(!token.matches(shown), "{shown:?}");
        }
        assert!(!AppToken::new("").matches(b""));
    }

    #[test]
    fn it_is_not_printed() {
        assert!(!format!("{:?}", AppToken::new("secret")).contains("secret"));
    }
}
