//! How long tokens are kept: two generations of them, each as long as a token has to live. So a token lives for one
//! generation at least and two at most, and forgetting needs no look at each. Generations are counted by a monotonic
//! clock: a wall clock that jumps must not make the store forget.

use mainstay_base::Timestamp;

use crate::port::TOKEN_LIFETIME;

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
