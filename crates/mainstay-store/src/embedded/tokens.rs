//! How long tokens are kept: two generations of them, each as long as a token has to live. So a token lives for one
//! generation at least and two at most, and forgetting needs no look at each. Generations are counted by a monotonic
//! clock: a wall clock that jumps must not make the store forget.

use mainstay_base::Timestamp;

use super::snapshots::Moment;
use super::space;
use super::tree::{Tree, TreeError};
use crate::batch::Token;
use crate::limits::MAX_PAGE_ENTRIES;
use crate::port::TOKEN_LIFETIME;
use crate::version::Version;

/// The generation that new tokens belong to.
#[derive(Debug)]
pub(super) struct Generations {
    current: u32,
    began: Timestamp,
    /// Whether there may be tokens that are too old.
    pub(super) has_old: bool,
}

impl Generations {
    /// Goes on after a restart with the latest generation that is stored. How old it is, is not known, so it counts as
    /// new.
    pub(super) fn resume(current: u32, now: Timestamp) -> Self {
        Self {
            current,
            began: now,
            has_old: true,
        }
    }

    /// The generation for new tokens.
    pub(super) fn current(&mut self, now: Timestamp) -> u32 {
        if now.since(self.began) >= TOKEN_LIFETIME {
            self.current = self.current.saturating_add(1);
            self.began = now;
            self.has_old = true;
        }
        self.current
    }
}

/// The generation of the latest tokens among all that has a number below `bound`.
pub(super) fn latest_generation(tree: &Tree, bound: u64) -> Result<u32, TreeError> {
    let latest = tree.range(space::tokens(), bound).next_back().transpose()?;
    Ok(latest
        .and_then(|(key, _, _)| space::generation(&key))
        .unwrap_or(0))
}

/// Tokens at a moment that come after one, in order. Those that are too old to be relied on may be missing.
pub(super) fn list(
    tree: &Tree,
    moment: &Moment,
    after: Option<&Token>,
) -> Result<Vec<(Token, Version)>, TreeError> {
    let latest = latest_generation(tree, moment.bound())?;
    let mut found = Vec::new();
    for generation in [Some(latest), latest.checked_sub(1)].into_iter().flatten() {
        let tokens = tree.range(space::tokens_after(generation, after), moment.bound());
        for token in tokens.take(MAX_PAGE_ENTRIES) {
            let (key, version, _) = token?;
            found.extend(space::token_of(&key).map(|token| (token, version)));
        }
    }
    // A token that was forgotten and used again may be there twice; the sort keeps the order of generations.
    found.sort_by(|one, other| one.0.as_bytes().cmp(other.0.as_bytes()));
    found.dedup_by(|one, other| one.0 == other.0);
    found.truncate(MAX_PAGE_ENTRIES);
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_lasts_as_long_as_a_token_lives() {
        let start = Timestamp::from_nanos(5);
        let mut generations = Generations::resume(3, start);
        generations.has_old = false;
        assert_eq!(generations.current(start + TOKEN_LIFETIME / 2), 3);
        assert!(!generations.has_old);
        let next = start + TOKEN_LIFETIME;
        assert_eq!(generations.current(next), 4);
        assert!(generations.has_old);
        assert_eq!(generations.current(next + TOKEN_LIFETIME / 2), 4);
        assert_eq!(generations.current(next + TOKEN_LIFETIME), 5);
    }
}
