//! Which secrets an app may read: `secrets.scopes` of a Dapr Configuration. Pure.

use std::collections::HashMap;

/// Whether a secret may be read that no list names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Access {
    /// It may.
    #[default]
    Allow,
    /// It may not.
    Deny,
}

/// The scope of one component.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scope {
    /// `storeName`.
    pub store: String,
    /// `defaultAccess`.
    pub default_access: Access,
    /// `allowedSecrets`: when there are any, these and no others may be read.
    pub allowed: Vec<String>,
    /// `deniedSecrets`: these may not be read.
    pub denied: Vec<String>,
}

/// The scopes of one app.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Scopes {
    by_store: HashMap<String, Scope>,
}

/// Scopes that contradict themselves or cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidScopes {
    /// Two scopes for one component.
    #[error("{0:?} storeName is repeated in secrets configuration")]
    Repeated(String),
    /// Neither `allow` nor `deny`.
    #[error("defaultAccess {0:?} can be either allow or deny")]
    Access(String),
}

impl Access {
    /// Reads a `defaultAccess`, whose letters may be large or small. Nothing means `allow`.
    pub fn parse(text: &str) -> Result<Self, InvalidScopes> {
        match text.to_lowercase().as_str() {
            "" | "allow" => Ok(Self::Allow),
            "deny" => Ok(Self::Deny),
            _ => Err(InvalidScopes::Access(text.to_owned())),
        }
    }
}

impl Scope {
    /// Whether the secret of this name may be read. Allowed ones come first, then denied ones, then the default, as in Dapr.
    pub fn allows(&self, secret: &str) -> bool {
        let named = |list: &[String]| list.iter().any(|name| name == secret);
        if !self.allowed.is_empty() {
            return named(&self.allowed);
        }
        !named(&self.denied) && self.default_access == Access::Allow
    }
}

impl Scopes {
    /// The scopes of an app, one for a component at most.
    pub fn new(scopes: Vec<Scope>) -> Result<Self, InvalidScopes> {
        let mut by_store = HashMap::with_capacity(scopes.len());
        for scope in scopes {
            if by_store.contains_key(&scope.store) {
                return Err(InvalidScopes::Repeated(scope.store));
            }
            by_store.insert(scope.store.clone(), scope);
        }
        Ok(Self { by_store })
    }

    /// Whether the app may read this secret of this component. Where there is no scope, it may.
    pub fn allow(&self, store: &str, secret: &str) -> bool {
        self.by_store.get(store).is_none_or(|scope| scope.allows(secret))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scope(default_access: Access, allowed: &[&str], denied: &[&str]) -> Scope {
        let names = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
        Scope {
            store: "vault".to_owned(),
            default_access,
            allowed: names(allowed),
            denied: names(denied),
        }
    }

    /// The table of Dapr's documentation, "Limit the secrets that can be read from secret stores".
    #[test]
    fn permissions_are_those_of_dapr() {
        use Access::{Allow, Deny};
        for (default_access, allowed, denied, readable) in [
            (Allow, &[][..], &[][..], &["s1", "s2", "s3"][..]),
            (Deny, &[], &[], &[]),
            (Deny, &["s1"], &[], &["s1"]),
            (Allow, &[], &["s1"], &["s2", "s3"]),
            (Allow, &["s1"], &[], &["s1"]),
            (Deny, &[], &["s1"], &[]),
            (Allow, &["s1"], &["s2"], &["s1"]),
            (Deny, &["s1"], &["s2"], &["s1"]),
            (Allow, &["s1"], &["s1"], &["s1"]),
        ] {
            let scope = scope(default_access, allowed, denied);
            let found: Vec<_> = ["s1", "s2", "s3"]
                .into_iter()
                .filter(|name| scope.allows(name))
                .collect();
            assert_eq!(found, readable, "{scope:?}");
        }
    }

    #[test]
    fn components_without_a_scope_are_open() {
        let scopes = Scopes::new(vec![scope(Access::Deny, &[], &[])]).unwrap();
        assert!(!scopes.allow("vault", "s1"));
        assert!(scopes.allow("other", "s1"));
    }

    #[test]
    fn mistakes_are_told() {
        let twice = vec![scope(Access::Deny, &[], &[]), scope(Access::Allow, &[], &[])];
        let error = Scopes::new(twice).unwrap_err();
        assert_eq!(
            error.to_string(),
            "\"vault\" storeName is repeated in secrets configuration"
        );
        assert_eq!(Access::parse("Deny"), Ok(Access::Deny));
        assert_eq!(Access::parse(""), Ok(Access::Allow));
        assert!(Access::parse("maybe").is_err());
    }
}
