//! What is told of a migration.

use serde::{Deserialize, Serialize};

use crate::stage::Side;

/// How a migration is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// What it is doing.
    pub phase: Phase,
    /// Where everything was at first: no secret.
    pub source: String,
    /// Where everything goes to: no secret.
    pub target: String,
    /// How the target is written in a manifest: no secret.
    pub target_reference: String,
    /// How the source is written in a manifest: no secret.
    pub source_reference: String,
    /// Which of them takes commits.
    pub serves: Side,
    /// Whether there is nothing left to do.
    pub is_over: bool,
    /// When it began, in milliseconds since 1970.
    pub began_unix_ms: u64,
    /// Keys that were copied, or compared.
    pub keys: u64,
    /// How many there are, roughly; absent where it does not matter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_total: Option<u64>,
    /// Bytes of keys and values that were copied since Mainstay was started.
    pub copied_bytes: u64,
    /// Keys a second, lately.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keys_per_second: Option<f64>,
    /// How long the phase still takes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time_left_ms: Option<u64>,
    /// Bytes of changes that the follower does not have yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_bytes: Option<u64>,
    /// How long ago the follower last had everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lag_ms: Option<u64>,
    /// Ranges that were found to be the same when they were last compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_ranges: Option<u64>,
    /// Ranges that had to be copied once more then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repaired_ranges: Option<u64>,
    /// How long commits waited when one store took over from the other.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pause_ms: Option<u64>,
    /// What stands in the way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<Problem>,
}

/// What a migration is doing, in the order of a life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// It begins.
    Preparing,
    /// Entries and tokens are copied.
    Copying,
    /// Changes are followed.
    Following,
    /// The follower is compared.
    Verifying,
    /// It can be cut over.
    Ready,
    /// The target takes over.
    CuttingOver,
    /// The target takes commits, the source follows.
    FollowingBack,
    /// The source takes over again, or the copy is removed.
    BackingOut,
    /// What was kept for the source is let go of.
    Finishing,
    /// It is over: the target is the store.
    Finished,
    /// It is over: the source is the store.
    BackedOut,
}

/// What stands in the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A sentence.
    pub message: String,
    /// Whether it is tried again; otherwise somebody has to do something.
    pub is_retried: bool,
}
