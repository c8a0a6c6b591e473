//! Names of apps and of their replicas.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

/// The name of an app. Cheap to clone.
///
/// 1 to 63 characters out of `a-z A-Z 0-9 - _`, the first and last a letter or digit. A dot is refused: in an
/// invocation target it separates the app from its namespace (Dapr, service invocation).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AppId(Arc<str>);

/// The text is not a valid app name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not an app name: use 1 to 63 letters, digits, `-` or `_`, with a letter or digit at both ends"
)]
pub struct InvalidAppId(String);

impl AppId {
    /// The app called `name`.
    ///
    /// # Errors
    /// When `name` breaks the rule above.
    pub fn new(name: &str) -> Result<Self, InvalidAppId> {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let bytes = name.as_bytes();
        let ends = [bytes.first(), bytes.last()];
        let valid = (1..=63).contains(&bytes.len())
            && bytes.iter().all(|byte| inner(*byte))
            && ends.into_iter().flatten().all(u8::is_ascii_alphanumeric);
        if valid {
            Ok(Self(name.into()))
        } else {
            Err(InvalidAppId(name.to_owned()))
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for AppId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for AppId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl fmt::Debug for AppId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

/// One running copy of an app. Shown as `orders-2`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReplicaId {
    /// The app.
    pub app: AppId,
    /// Counted from 1; a replica keeps its number over restarts.
    pub index: u32,
}

impl fmt::Display for ReplicaId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&format!("{}-{}", self.app, self.index))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn app_names() {
        for name in ["a", "orders", "order-api", "Order_2", &"x".repeat(63)] {
            assert!(AppId::new(name).is_ok(), "{name}");
        }
        for name in ["", "-a", "a-", "a.b", "a b", "ä", "a/b", &"x".repeat(64)] {
            assert!(AppId::new(name).is_err(), "{name}");
        }
    }
}
