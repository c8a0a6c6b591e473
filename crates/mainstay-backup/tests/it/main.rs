//! Backups from store to store, through folders and buckets, with everything that may fail on the way.

#![expect(clippy::expect_used, clippy::panic, reason = "helpers of tests fail loudly")]
#![expect(unreachable_pub, reason = "`pub` marks what tests may use of the helpers")]

mod archive;
mod faulty;
mod model;
mod repositories;
mod restore;
mod save;
