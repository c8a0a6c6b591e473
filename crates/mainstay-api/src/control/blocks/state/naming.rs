//! How keys are written: as an app calls them, or as they are kept.

use mainstay_state::{KeyPrefix, Scope};

use super::Refusal;

/// How keys are written.
#[derive(Clone, Debug)]
pub(in crate::control::blocks) struct Naming {
    pub(super) prefix: KeyPrefix,
    pub(super) component: String,
    pub(super) namespace: String,
    /// Whose names they have; without one they are as they are kept.
    pub(super) app: Option<String>,
}

impl Naming {
    /// The key as it is kept.
    pub(in crate::control::blocks) fn full_key(&self, key: &str) -> Result<String, Refusal> {
        match self.scope() {
            None => Ok(key.to_owned()),
            Some(scope) => self
                .prefix
                .full_key(scope, key)
                .map_err(|error| Refusal::malformed(error.to_string())),
        }
    }

    /// What stands before every key.
    pub(in crate::control::blocks) fn prefix(&self) -> String {
        self.scope()
            .map_or_else(String::new, |scope| self.prefix.text(scope))
    }

    /// How a key that is kept is written; `None` when it is none of the app's.
    pub(super) fn shown<'a>(&self, full: &'a str) -> Option<&'a str> {
        match self.scope() {
            None => Some(full),
            Some(scope) => self.prefix.user_key(scope, full),
        }
    }

    fn scope(&self) -> Option<Scope<'_>> {
        Some(Scope {
            app: self.app.as_deref()?,
            component: &self.component,
            namespace: &self.namespace,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming(prefix: KeyPrefix, app: Option<&str>) -> Naming {
        Naming {
            prefix,
            component: "statestore".to_owned(),
            namespace: String::new(),
            app: app.map(str::to_owned),
        }
    }

    #[test]
    fn with_an_app_keys_are_its_own() {
        let own = naming(KeyPrefix::App, Some("orders"));
        assert_eq!(own.full_key("k").unwrap(), "orders||k");
        assert_eq!(own.shown("orders||k"), Some("k"));
        assert_eq!(own.shown("storefront||k"), None);
        assert!(own.full_key("a||b").is_err());
        let shared = naming(KeyPrefix::None, Some("orders"));
        assert_eq!(shared.shown("k"), Some("k"));
        assert_eq!(shared.shown("storefront||k"), None);
    }

    #[test]
    fn without_one_they_are_as_they_are_kept() {
        let kept = naming(KeyPrefix::App, None);
        assert_eq!(kept.full_key("orders||k").unwrap(), "orders||k");
        assert_eq!(kept.shown("orders||k"), Some("orders||k"));
        assert_eq!(kept.prefix(), "");
    }
}
