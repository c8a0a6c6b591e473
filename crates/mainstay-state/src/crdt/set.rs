//! A set.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Node;

/// A set of texts. Removing removes what the node has seen added: an addition that it has not seen stays.
///
/// Without tombstones (Bieniusa et al., "An optimized conflict-free replicated set", 2012): every addition has a number of
/// its node; a copy knows up to which number it has seen those of each node. An addition that one copy has seen and no
/// longer holds was removed there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObservedRemoveSet {
    seen: BTreeMap<Node, u64>,
    elements: BTreeMap<String, BTreeSet<Addition>>,
}

/// The node, and the number of the addition there.
type Addition = (Node, u64);

impl ObservedRemoveSet {
    /// Adds an element.
    pub fn add(&mut self, node: &str, element: impl Into<String>) {
        let seen = self.seen.entry(node.to_owned()).or_default();
        *seen = seen.saturating_add(1);
        // It replaces the additions seen before.
        let addition = BTreeSet::from([(node.to_owned(), *seen)]);
        self.elements.insert(element.into(), addition);
    }

    /// Removes an element; says whether it was there.
    pub fn remove(&mut self, element: &str) -> bool {
        self.elements.remove(element).is_some()
    }

    /// Whether it is there.
    pub fn contains(&self, element: &str) -> bool {
        self.elements.contains_key(element)
    }

    /// The elements in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.elements.keys().map(String::as_str)
    }

    /// Takes over what a copy knows.
    pub fn merge(&mut self, other: &Self) {
        let none = BTreeSet::new();
        let names: BTreeSet<String> = self
            .elements
            .keys()
            .chain(other.elements.keys())
            .cloned()
            .collect();
        for name in names {
            let ours = self.elements.get(&name).unwrap_or(&none);
            let theirs = other.elements.get(&name).unwrap_or(&none);
            let kept = ours
                .iter()
                .filter(|addition| theirs.contains(*addition) || !other.has_seen(addition));
            let new = theirs.iter().filter(|addition| !self.has_seen(addition));
            let additions: BTreeSet<Addition> = kept.chain(new).cloned().collect();
            if additions.is_empty() {
                self.elements.remove(&name);
            } else {
                self.elements.insert(name, additions);
            }
        }
        for (node, theirs) in &other.seen {
            let ours = self.seen.entry(node.clone()).or_default();
            *ours = (*ours).max(*theirs);
        }
    }

    fn has_seen(&self, (node, number): &Addition) -> bool {
        self.seen.get(node).is_some_and(|seen| number <= seen)
    }
}
