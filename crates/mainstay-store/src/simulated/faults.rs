//! What goes wrong, and how often.

/// How often what goes wrong. Shares are in thousandths of the calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// A rival touches a key that a condition is about, just before it is checked.
    pub rivals: u32,
    /// The outcome of a commit is not told: [`CommitError::UnknownOutcome`](crate::CommitError::UnknownOutcome). Half of
    /// them are committed.
    pub unknown: u32,
    /// A commit is refused as [`CommitError::Overloaded`](crate::CommitError::Overloaded).
    pub overloads: u32,
    /// The store crashes at some step of a commit.
    pub crashes: u32,
    /// The wall clock jumps, up to a day back or ahead.
    pub clock_jumps: u32,
    /// How many times at most a call lets others go first, before it acts and again before it answers.
    pub max_yields: u32,
}

/// Where a commit is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Step {
    /// It waits for its turn.
    Queued,
    /// Its conditions hold.
    Checked,
    /// It is written but could still be lost, and is.
    Written,
    /// It is durable; nobody has seen it yet.
    Durable,
    /// It can be seen; nobody was answered yet.
    Visible,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 5] = [
        Self::Queued,
        Self::Checked,
        Self::Written,
        Self::Durable,
        Self::Visible,
    ];
}
