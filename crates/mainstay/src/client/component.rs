//! Which component of the running system a command means.

use mainstay_api::wire::{Component, Components};

use crate::client::Control;
use crate::client::path::segment;
use crate::document::did_you_mean;
use crate::failure::Failure;

/// A building block as the command line and the control API know it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Block {
    /// What the types of its components begin with.
    prefix: &'static str,
    /// The component that is meant when none is named.
    default: &'static str,
    /// Where the control API has it.
    path: &'static str,
    /// What people call such a component.
    noun: &'static str,
}

pub(super) const STATE: Block = Block {
    prefix: "state.",
    default: "statestore",
    path: "/api/state",
    noun: "state store",
};

pub(super) const CONFIGURATION: Block = Block {
    prefix: "configuration.",
    default: "configstore",
    path: "/api/config",
    noun: "configuration store",
};

pub(super) const SECRETS: Block = Block {
    prefix: "secretstores.",
    default: "secretstore",
    path: "/api/secrets",
    noun: "secret store",
};

impl Block {
    /// The component that is meant: the named one, else the default, else the only one there is.
    pub(super) async fn find(self, control: &Control, asked: Option<&str>) -> Result<Store, Failure> {
        let Components { components } = control.get("/api/components").await?;
        let name = self.choose(&components, asked)?;
        let path = format!("{}/{}", self.path, segment(&name));
        Ok(Store { name, path })
    }

    fn choose(self, components: &[Component], asked: Option<&str>) -> Result<String, Failure> {
        let Self {
            prefix,
            default,
            noun,
            ..
        } = self;
        let of_block = components.iter().filter(|one| one.kind.starts_with(prefix));
        let known: Vec<&str> = of_block.map(|one| one.name.as_str()).collect();
        let found = known.iter().find(|name| **name == asked.unwrap_or(default));
        match (found, asked, known.as_slice()) {
            (Some(name), _, _) | (None, None, [name]) => Ok((*name).to_owned()),
            (None, _, []) => Err(Failure::usage(format!("the system has no {noun}"))),
            (None, None, several) => Err(Failure::usage(format!(
                "say which {noun} with --store: {}",
                several.join(", ")
            ))),
            (None, Some(asked), several) => Err(Failure::usage(format!(
                "there is no {noun} called `{asked}`: {}",
                did_you_mean(asked, several.iter().copied())
            ))),
        }
    }
}

/// A component of the running system.
#[derive(Debug)]
pub(super) struct Store {
    /// Its name.
    pub(super) name: String,
    path: String,
}

impl Store {
    /// A path of the control API below it, which needs no escaping.
    pub(super) fn at(&self, rest: &str) -> String {
        format!("{}/{rest}", self.path)
    }

    /// The path of one of its keys or names.
    pub(super) fn item(&self, collection: &str, key: &str) -> String {
        format!("{}/{collection}/{}", self.path, segment(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choose(known: &[&str], asked: Option<&str>) -> Result<String, String> {
        let component = |name: &&str| Component {
            name: (*name).to_owned(),
            kind: "state.mainstay".to_owned(),
            version: "v1".to_owned(),
        };
        let mut components: Vec<_> = known.iter().map(component).collect();
        components.push(Component {
            name: "lockstore".to_owned(),
            kind: "lock.mainstay".to_owned(),
            version: "v1".to_owned(),
        });
        let chosen = STATE.choose(&components, asked);
        chosen.map_err(|failure| {
            assert_eq!(failure.code(), 2);
            failure.to_string()
        })
    }

    #[test]
    fn the_named_one_the_default_or_the_only_one() {
        assert_eq!(choose(&["carts", "statestore"], None).unwrap(), "statestore");
        assert_eq!(choose(&["carts", "statestore"], Some("carts")).unwrap(), "carts");
        assert_eq!(choose(&["carts"], None).unwrap(), "carts");
    }

    #[test]
    fn mistakes_are_told_with_what_there_is() {
        assert_eq!(
            choose(&["carts", "stock"], None).unwrap_err(),
            "say which state store with --store: carts, stock"
        );
        assert!(
            choose(&["carts", "stock"], Some("cart"))
                .unwrap_err()
                .contains("did you mean `carts`")
        );
        assert_eq!(choose(&[], None).unwrap_err(), "the system has no state store");
        assert!(
            choose(&["carts"], Some("lockstore")).is_err(),
            "it is no state store"
        );
    }
}
