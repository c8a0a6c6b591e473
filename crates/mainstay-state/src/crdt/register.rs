//! A register.

use mainstay_store::{HybridClock, Version};
use serde::{Deserialize, Serialize};

use super::Node;

/// A value of which the last one written stays.
///
/// What is last is told by a hybrid logical clock: a write that has seen another one comes after it whatever the wall
/// clocks say; of writes that have not seen each other the later one by wall time stays, then the larger node, then the
/// larger value.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Register {
    // The order of the fields is the order of writes.
    written: u64,
    node: Node,
    value: Option<String>,
}

impl Register {
    /// Writes a value; `unix_ms` is the wall time in milliseconds since 1970.
    pub fn set(&mut self, node: &str, value: impl Into<String>, unix_ms: u64) {
        let mut clock = HybridClock::after(Version::from_u64(self.written));
        self.written = clock.tick(unix_ms).as_u64();
        node.clone_into(&mut self.node);
        self.value = Some(value.into());
    }

    /// The value; `None` when there was never one.
    pub fn value(&self) -> Option<&str> {
        self.value.as_deref()
    }

    /// Takes over what a copy knows.
    pub fn merge(&mut self, other: &Self) {
        if other > self {
            self.clone_from(other);
        }
    }
}
