//! The log: every commit since the last flush, in order. What is in it is durable; what is not, never happened.
//!
//! ```text
//!   log/1.log   [head][group][group][group]            sealed: flushed to the tree soon, then deleted
//!   log/2.log   [head][group][group][gro…              the last group may be torn by a crash
//!                                    ^
//!                                    MARK: everything before this was durable
//! ```
//!
//! Each group is one write and one `fdatasync`, and no group is written before the one in front of it is durable. So a
//! broken group is torn, and was never acknowledged, only if nothing follows it *and* the mark does not reach beyond it.
//! Otherwise it was durable once and is damaged now: the store then refuses to open instead of quietly forgetting
//! commits.

pub(super) mod file;
pub(super) mod frame;
pub(super) mod mark;
pub(super) mod record;
pub(super) mod recovery;
pub(super) mod writer;
