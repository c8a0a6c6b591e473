//! Randomness for the policies: the thread's own generator.

use mainstay_base::Rng;

/// The generator of the current thread.
#[derive(Debug)]
pub(crate) struct ThreadRng;

impl Rng for ThreadRng {
    fn next_u64(&mut self) -> u64 {
        fastrand::u64(..)
    }
}
