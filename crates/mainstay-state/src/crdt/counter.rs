//! A counter.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{InvalidReplicated, Node};

/// A number that nodes add to and subtract from: two sums per node, which only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counter {
    nodes: BTreeMap<Node, Sums>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Sums {
    added: u64,
    subtracted: u64,
}

impl Counter {
    /// Adds to it, or subtracts when `by` is negative.
    ///
    /// # Errors
    /// [`InvalidReplicated::Overflow`] when one of the node's sums would be 2^64 or more.
    pub fn add(&mut self, node: &str, by: i64) -> Result<(), InvalidReplicated> {
        if by == 0 {
            return Ok(());
        }
        let sums = self.nodes.entry(node.to_owned()).or_default();
        let sum = if by > 0 {
            &mut sums.added
        } else {
            &mut sums.subtracted
        };
        *sum = sum
            .checked_add(by.unsigned_abs())
            .ok_or(InvalidReplicated::Overflow)?;
        Ok(())
    }

    /// The number.
    pub fn value(&self) -> i128 {
        let sums = self.nodes.values();
        sums.map(|sums| i128::from(sums.added) - i128::from(sums.subtracted))
            .sum()
    }

    /// Takes over what a copy knows.
    pub fn merge(&mut self, other: &Self) {
        for (node, theirs) in &other.nodes {
            let ours = self.nodes.entry(node.clone()).or_default();
            ours.added = ours.added.max(theirs.added);
            ours.subtracted = ours.subtracted.max(theirs.subtracted);
        }
    }
}
