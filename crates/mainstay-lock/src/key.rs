//! Names of resources and owners, and what stands before a resource so that apps do not lock each other out.

use crate::limits::{MAX_OWNER_BYTES, MAX_RESOURCE_BYTES};

/// Between a prefix and a resource; neither may contain it.
pub const SEPARATOR: &str = "||";

/// Before every lock, whatever the strategy: a lock and a state of one name can share an engine.
const API_PREFIX: &str = "lock";

/// What a component puts before the resources of its users: its metadata `keyPrefix`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum KeyPrefix {
    /// `appid`: the app. The default.
    #[default]
    App,
    /// `name`: the component, so that its apps share their locks.
    Name,
    /// `none`: nothing.
    None,
    /// Anything else: this text, in small letters.
    Constant(String),
}

/// A name that no component takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// No resource.
    #[error("the resource to lock has no name")]
    EmptyResource,
    /// No owner.
    #[error("the lock has no owner")]
    EmptyOwner,
    /// It contains what stands between prefix and resource.
    #[error("input key/keyPrefix '{0}' can't contain '{SEPARATOR}'")]
    Separator(String),
    /// So many bytes, prefix included.
    #[error("the name of the resource has {0} bytes with its prefix: {MAX_RESOURCE_BYTES} at most")]
    LongResource(usize),
    /// So many bytes.
    #[error("the owner of the lock has {0} bytes: {MAX_OWNER_BYTES} at most")]
    LongOwner(usize),
}

impl KeyPrefix {
    /// Reads the metadata `keyPrefix` of a component, whose letters may be large or small.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let text = text.to_lowercase();
        Ok(match text.as_str() {
            "" | "appid" => Self::App,
            "name" => Self::Name,
            "none" => Self::None,
            _ if text.contains(SEPARATOR) => return Err(InvalidName::Separator(text)),
            _ => Self::Constant(text),
        })
    }

    /// What a component is asked to lock when the app `app` (empty when it has no name) asks the component `component` for
    /// `resource`: `lock||orders||resource`.
    pub fn full_name(&self, app: &str, component: &str, resource: &str) -> Result<String, InvalidName> {
        if resource.is_empty() {
            return Err(InvalidName::EmptyResource);
        }
        if resource.contains(SEPARATOR) {
            return Err(InvalidName::Separator(resource.to_owned()));
        }
        let scope = match self {
            Self::App => app,
            Self::Name => component,
            Self::None => "",
            Self::Constant(text) => text,
        };
        let full = if scope.is_empty() {
            format!("{API_PREFIX}{SEPARATOR}{resource}")
        } else {
            format!("{API_PREFIX}{SEPARATOR}{scope}{SEPARATOR}{resource}")
        };
        check_resource(&full)?;
        Ok(full)
    }
}

/// Whether a component may lock this, prefix included.
pub(crate) fn check_resource(resource: &str) -> Result<(), InvalidName> {
    match resource.len() {
        0 => Err(InvalidName::EmptyResource),
        1..=MAX_RESOURCE_BYTES => Ok(()),
        length => Err(InvalidName::LongResource(length)),
    }
}

/// Whether a component may give a lock to this owner.
pub(crate) fn check_owner(owner: &str) -> Result<(), InvalidName> {
    match owner.len() {
        0 => Err(InvalidName::EmptyOwner),
        1..=MAX_OWNER_BYTES => Ok(()),
        length => Err(InvalidName::LongOwner(length)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full(prefix: &str, app: &str) -> String {
        let prefix = KeyPrefix::parse(prefix).unwrap();
        prefix.full_name(app, "lockstore", "r").unwrap()
    }

    #[test]
    fn every_strategy_has_its_prefix() {
        for (prefix, expected) in [
            ("", "lock||orders||r"),
            ("AppId", "lock||orders||r"),
            ("name", "lock||lockstore||r"),
            ("none", "lock||r"),
            ("Shared", "lock||shared||r"),
        ] {
            assert_eq!(full(prefix, "orders"), expected, "{prefix}");
        }
        assert_eq!(full("", ""), "lock||r");
    }

    #[test]
    fn names_are_checked() {
        let name = |resource: &str| KeyPrefix::App.full_name("orders", "lockstore", resource);
        assert_eq!(name(""), Err(InvalidName::EmptyResource));
        let wrong = name("a||b").unwrap_err();
        assert_eq!(wrong.to_string(), "input key/keyPrefix 'a||b' can't contain '||'");
        assert!(name(&"r".repeat(MAX_RESOURCE_BYTES)).is_err());
        assert!(matches!(KeyPrefix::parse("a||b"), Err(InvalidName::Separator(_))));
        assert!(check_owner("").is_err());
        assert!(check_owner(&"o".repeat(MAX_OWNER_BYTES)).is_ok());
        assert!(check_owner(&"o".repeat(MAX_OWNER_BYTES + 1)).is_err());
    }
}
