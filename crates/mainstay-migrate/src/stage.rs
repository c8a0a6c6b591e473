//! How far a migration is, what may be asked for then, and what a start makes of it. Pure.
//!
//! ```text
//!  preparing ─> copying ─> following ─> ready ─> cutting over ─> promoting ─> moved ─> finishing ─> finished
//!      │           │           │          │  ^         │                       │  ^
//!      └───────────┴───────────┴──────────┤  └─────────┘ it did not work       │  │
//!                                         v                                    v  │ it did not work
//!                                     dropping <── promoting back <──── cutting back
//!                                         │
//!                                         v
//!                                    backed out
//! ```
//!
//! A stage is recorded before anything is done that only it allows. So whatever stage a start finds, it knows who may take
//! commits, and it is never both.

use std::fmt;

use mainstay_store::Version;
use serde::{Deserialize, Serialize};

use crate::cursor::Cursor;

/// How far a migration is. What is recorded in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "stage", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Stage {
    /// The target is made a replica, and the source keeps its changes.
    Preparing,
    /// Entries and tokens are copied; what lies before the cursor is durable in the target.
    Copying {
        /// From where on.
        cursor: Cursor,
    },
    /// Everything was copied; changes are followed, and the copy is compared.
    Following,
    /// The copy was compared with the source, and is kept up to date.
    Ready,
    /// The source may be demoted. The target was not promoted.
    CuttingOver,
    /// The source is demoted, the target holds everything and may be promoted.
    Promoting {
        /// The last version of the source.
        last: u64,
    },
    /// The target takes commits, and the source follows it.
    Moved,
    /// The target may be demoted. The source was not promoted again.
    CuttingBack,
    /// The target is demoted, the source holds everything and may be promoted.
    PromotingBack {
        /// The last version of the target.
        last: u64,
    },
    /// The source takes commits; the copy is removed.
    Dropping,
    /// The target takes commits; nothing is kept for the source any more.
    Finishing,
    /// The target is the store now.
    Finished,
    /// The source is the store as before.
    BackedOut,
}

/// One of the two stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The store that everything was in at first.
    Source,
    /// The store that everything goes to.
    Target,
}

/// What may be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Wish {
    /// Compare the copy once more.
    Verify,
    /// Let the target take commits, and the source follow it.
    CutOver,
    /// Let the source take commits, and remove the copy.
    BackOut,
    /// Keep nothing for the source any more.
    Finish,
}

/// Why something cannot be done now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Untimely(&'static str);

/// What a start has to do before anything is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Who takes commits.
    pub serves: Side,
    /// Set where it may not know that yet: it has to be promoted after this version.
    pub promotes_after: Option<Version>,
}

/// What there is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Task {
    /// Make the target a replica and follow the source.
    Prepare,
    /// Copy from here on.
    Copy(Cursor),
    /// Catch up with the source, and compare.
    Compare,
    /// Keep the copy up to date.
    Follow,
    /// Let the target take over.
    CutOver,
    /// Keep the source up to date, and compare it first if that is wanted.
    FollowBack {
        /// Whether it is.
        compares: bool,
    },
    /// Let the source take over again.
    CutBack,
    /// Remove the copy.
    Drop,
    /// Keep nothing for the source.
    LetGo,
    /// Nothing.
    Rest,
}

impl Stage {
    /// Whether there is nothing left to do.
    pub const fn is_over(&self) -> bool {
        matches!(self, Self::Finished | Self::BackedOut)
    }

    /// Who takes commits, as far as it is decided; what a start has to do about it.
    pub const fn recovery(&self) -> Recovery {
        let (serves, promotes_after) = match self {
            Self::Preparing
            | Self::Copying { .. }
            | Self::Following
            | Self::Ready
            | Self::Dropping
            | Self::BackedOut => (Side::Source, None),
            // Its own versions go on.
            Self::CuttingOver => (Side::Source, Some(Version::ZERO)),
            Self::CuttingBack => (Side::Target, Some(Version::ZERO)),
            Self::Promoting { last } => (Side::Target, Some(Version::from_u64(*last))),
            Self::PromotingBack { last } => (Side::Source, Some(Version::from_u64(*last))),
            Self::Moved | Self::Finishing | Self::Finished => (Side::Target, None),
        };
        Recovery {
            serves,
            promotes_after,
        }
    }

    /// Where a start goes on once the recovery is done.
    #[must_use]
    pub fn recovered(self) -> Self {
        match self {
            Self::CuttingOver => Self::Ready,
            Self::Promoting { .. } | Self::CuttingBack => Self::Moved,
            Self::PromotingBack { .. } => Self::Dropping,
            stage => stage,
        }
    }

    /// Whether this may be asked for now.
    pub const fn allows(&self, wish: Wish) -> Result<(), Untimely> {
        match (wish, self) {
            (Wish::Verify, Self::Following | Self::Ready | Self::Moved)
            | (Wish::CutOver, Self::Ready)
            | (Wish::Finish, Self::Moved | Self::Finishing)
            | (
                Wish::BackOut,
                Self::Preparing
                | Self::Copying { .. }
                | Self::Following
                | Self::Ready
                | Self::Moved
                | Self::Dropping,
            ) => Ok(()),
            (_, stage) => Err(Untimely(stage.refusal(wish))),
        }
    }

    const fn refusal(&self, wish: Wish) -> &'static str {
        match (self, wish) {
            (Self::Finished, _) => "the migration is finished: what is stored lies in the new store",
            (Self::BackedOut, _) => "the migration was backed out: what is stored lies where it always did",
            (Self::Preparing | Self::Copying { .. }, Wish::Verify | Wish::CutOver) => {
                "the copy is not complete yet: see `mainstay migrate status`"
            }
            (Self::Following, Wish::CutOver) => {
                "the copy was not found to be right yet: see `mainstay migrate status`"
            }
            (Self::Preparing | Self::Copying { .. } | Self::Following | Self::Ready, Wish::Finish) => {
                "nothing was cut over yet: `mainstay migrate cut-over` does, and `back-out` removes the copy"
            }
            (Self::Moved, Wish::CutOver) => {
                "it was cut over already: `mainstay migrate finish` ends it, and `back-out` goes back"
            }
            (Self::Dropping, _) => "the migration is being backed out",
            (Self::Finishing, _) => "the migration is being finished",
            _ => "commits are just being handed over from one store to the other",
        }
    }

    /// What there is to do, given what was asked for, which the stage allows.
    pub fn task(&self, wish: Option<Wish>) -> Task {
        match (self, wish) {
            (Self::Moved, Some(Wish::BackOut)) => Task::CutBack,
            (_, Some(Wish::BackOut)) | (Self::Dropping, _) => Task::Drop,
            (Self::Moved, Some(Wish::Finish)) | (Self::Finishing, _) => Task::LetGo,
            (Self::Preparing, _) => Task::Prepare,
            (Self::Copying { cursor }, _) => Task::Copy(cursor.clone()),
            (Self::Following, _) | (Self::Ready, Some(Wish::Verify)) => Task::Compare,
            (Self::Ready, Some(Wish::CutOver)) => Task::CutOver,
            (Self::Ready, _) => Task::Follow,
            (Self::Moved, wish) => Task::FollowBack {
                compares: wish == Some(Wish::Verify),
            },
            // A start goes on after its recovery, so these are over before anybody asks.
            (
                Self::CuttingOver
                | Self::Promoting { .. }
                | Self::CuttingBack
                | Self::PromotingBack { .. }
                | Self::Finished
                | Self::BackedOut,
                _,
            ) => Task::Rest,
        }
    }
}

impl fmt::Display for Wish {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Verify => "verify",
            Self::CutOver => "cut-over",
            Self::BackOut => "back-out",
            Self::Finish => "finish",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_stage() -> Vec<Stage> {
        vec![
            Stage::Preparing,
            Stage::Copying {
                cursor: Cursor::start(),
            },
            Stage::Following,
            Stage::Ready,
            Stage::CuttingOver,
            Stage::Promoting { last: 1 },
            Stage::Moved,
            Stage::CuttingBack,
            Stage::PromotingBack { last: 1 },
            Stage::Dropping,
            Stage::Finishing,
            Stage::Finished,
            Stage::BackedOut,
        ]
    }

    const WISHES: [Wish; 4] = [Wish::Verify, Wish::CutOver, Wish::BackOut, Wish::Finish];

    #[test]
    fn a_recovery_settles_who_serves() {
        for stage in every_stage() {
            let recovery = stage.recovery();
            let after = stage.clone().recovered();
            assert_eq!(after.recovery().serves, recovery.serves, "{stage:?}");
            assert!(after.recovery().promotes_after.is_none(), "{stage:?}");
            assert_eq!(after != stage, recovery.promotes_after.is_some(), "{stage:?}");
        }
    }

    #[test]
    fn what_is_allowed_has_a_task_of_its_own_and_what_is_over_allows_nothing() {
        for stage in every_stage() {
            for wish in WISHES {
                let is_allowed = stage.allows(wish).is_ok();
                assert!(!(stage.is_over() && is_allowed), "{stage:?} {wish}");
                if is_allowed {
                    assert_ne!(stage.task(Some(wish)), Task::Rest, "{stage:?} {wish}");
                }
            }
            let hands_over = stage.recovery().promotes_after.is_some();
            assert_eq!(
                stage.task(None) == Task::Rest,
                hands_over || stage.is_over(),
                "{stage:?}"
            );
        }
    }

    #[test]
    fn backing_out_is_possible_until_it_is_finished() {
        for stage in every_stage() {
            let hands_over = stage.recovery().promotes_after.is_some();
            let ends = matches!(stage, Stage::Finishing | Stage::Finished | Stage::BackedOut);
            assert_eq!(
                stage.allows(Wish::BackOut).is_ok(),
                !hands_over && !ends,
                "{stage:?}"
            );
        }
    }
}
