//! Keys: what users may write, and what a component puts in front so that apps do not meet.

use crate::limits::MAX_KEY_BYTES;

/// Between a prefix and a key; neither may contain it.
pub const SEPARATOR: &str = "||";

/// What a component puts in front of the keys of its users: its metadata `keyPrefix`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KeyPrefix {
    /// `appid`: the app, so that apps do not see each other's state. The default.
    #[default]
    App,
    /// `name`: the component, so that its apps share their state.
    Name,
    /// `namespace`: the namespace and the app; only the app where there is no namespace.
    Namespace,
    /// `none`: nothing.
    None,
    /// Anything else: this text, in small letters.
    Constant(String),
}

/// Who asks, and which component.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// The app; empty when it has no name.
    pub app: &'a str,
    /// The component.
    pub component: &'a str,
    /// The namespace; empty when there is none.
    pub namespace: &'a str,
}

/// A key that no component takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidKey {
    /// No key.
    #[error("state key cannot be empty")]
    Empty,
    /// It contains what stands between prefix and key.
    #[error("input key/keyPrefix '{0}' can't contain '{SEPARATOR}'")]
    Separator(String),
    /// So many bytes, prefix included.
    #[error("the state key has {0} bytes with its prefix: {MAX_KEY_BYTES} at most")]
    Long(usize),
}

impl KeyPrefix {
    /// Reads the metadata `keyPrefix` of a component, whose letters may be large or small.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let text = text.to_lowercase();
        Ok(match text.as_str() {
            "" | "appid" => Self::App,
            "name" => Self::Name,
            "namespace" => Self::Namespace,
            "none" => Self::None,
            _ if text.contains(SEPARATOR) => return Err(InvalidKey::Separator(text)),
            _ => Self::Constant(text),
        })
    }

    /// What stands before every key that is asked for in this scope, the separator included; empty for none.
    pub fn text(&self, scope: Scope<'_>) -> String {
        let before = |name: &str| format!("{name}{SEPARATOR}");
        match self {
            Self::None => String::new(),
            Self::Name => before(scope.component),
            Self::Constant(text) => before(text),
            Self::App | Self::Namespace if scope.app.is_empty() => String::new(),
            Self::Namespace if !scope.namespace.is_empty() => {
                format!("{}.{}{SEPARATOR}", scope.namespace, scope.app)
            }
            Self::App | Self::Namespace => before(scope.app),
        }
    }

    /// The key under which a component keeps what a user calls `key`.
    pub fn full_key(&self, scope: Scope<'_>, key: &str) -> Result<String, InvalidKey> {
        if key.is_empty() {
            return Err(InvalidKey::Empty);
        }
        if key.contains(SEPARATOR) {
            return Err(InvalidKey::Separator(key.to_owned()));
        }
        let mut full = self.text(scope);
        full.push_str(key);
        if full.len() > MAX_KEY_BYTES {
            return Err(InvalidKey::Long(full.len()));
        }
        Ok(full)
    }

    /// What the user calls a key that a component keeps; `None` when it is not one of this scope.
    pub fn user_key<'a>(&self, scope: Scope<'_>, full: &'a str) -> Option<&'a str> {
        let key = full.strip_prefix(&self.text(scope))?;
        // Without a prefix, the keys of those who have one can be met too.
        (!key.contains(SEPARATOR)).then_some(key)
    }
}

/// Whether a component may take this key, prefix included.
pub(crate) fn check_full(key: &str) -> Result<(), InvalidKey> {
    match key.len() {
        0 => Err(InvalidKey::Empty),
        1..=MAX_KEY_BYTES => Ok(()),
        length => Err(InvalidKey::Long(length)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SCOPE: Scope<'_> = Scope {
        app: "orders",
        component: "statestore",
        namespace: "shop",
    };

    fn full(prefix: &str, scope: Scope<'_>) -> String {
        let prefix = KeyPrefix::parse(prefix).unwrap();
        prefix.full_key(scope, "k").unwrap()
    }

    #[test]
    fn every_strategy_has_its_prefix() {
        for (prefix, expected) in [
            ("", "orders||k"),
            ("appid", "orders||k"),
            ("APPID", "orders||k"),
            ("name", "statestore||k"),
            ("namespace", "shop.orders||k"),
            ("none", "k"),
            ("Shared", "shared||k"),
        ] {
            assert_eq!(full(prefix, SCOPE), expected, "{prefix}");
        }
    }

    #[test]
    fn what_is_missing_is_left_out() {
        let namespace = "";
        assert_eq!(full("namespace", Scope { namespace, ..SCOPE }), "orders||k");
        assert_eq!(full("namespace", Scope { app: "", ..SCOPE }), "k");
        assert_eq!(full("appid", Scope { app: "", ..SCOPE }), "k");
    }

    #[test]
    fn the_separator_is_refused() {
        let wrong = KeyPrefix::App.full_key(SCOPE, "a||b").unwrap_err();
        assert_eq!(wrong.to_string(), "input key/keyPrefix 'a||b' can't contain '||'");
        assert!(matches!(KeyPrefix::parse("a||b"), Err(InvalidKey::Separator(_))));
        assert!(KeyPrefix::App.full_key(SCOPE, "a|b").is_ok());
    }

    #[test]
    fn keys_have_a_size() {
        assert_eq!(KeyPrefix::None.full_key(SCOPE, ""), Err(InvalidKey::Empty));
        let longest = "k".repeat(MAX_KEY_BYTES);
        assert!(KeyPrefix::None.full_key(SCOPE, &longest).is_ok());
        assert_eq!(
            KeyPrefix::App.full_key(SCOPE, &longest),
            Err(InvalidKey::Long(MAX_KEY_BYTES + 8))
        );
    }

    #[test]
    fn keys_of_others_are_not_ours() {
        assert_eq!(KeyPrefix::App.user_key(SCOPE, "storefront||k"), None);
        assert_eq!(KeyPrefix::App.user_key(SCOPE, "orders||k"), Some("k"));
        assert_eq!(KeyPrefix::None.user_key(SCOPE, "orders||k"), None);
    }

    proptest! {
        #[test]
        fn prefixing_is_undone(prefix in "[a-z]{0,12}", key in "[^|]{1,40}") {
            let prefix = KeyPrefix::parse(&prefix).unwrap();
            let full = prefix.full_key(SCOPE, &key).unwrap();
            prop_assert_eq!(prefix.user_key(SCOPE, &full), Some(key.as_str()));
        }
    }
}
