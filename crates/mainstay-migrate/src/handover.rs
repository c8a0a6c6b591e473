//! One store takes over from the other.
//!
//! ```text
//!   record "may be demoted" ─ pause ─ demote ─ drain ─ follow the other way ─ record "may be promoted" ─ promote ─ switch
//!   └─────── until here, it is taken back when something fails ──────────────┘└── from here on, it is done ─────┘
//! ```
//!
//! Commits wait from the pause to the switch. Each of the two records is durable before what it allows is done, so that a
//! start after a crash knows which of the stores it may let take commits.

use std::time::Duration;

use mainstay_store::{CommitError, FollowerName, Paused, Switch, Version};
use tokio::time::{sleep, timeout};

use crate::board::Board;
use crate::line::Line;
use crate::stage::Stage;
use crate::status::Problem;
use crate::trouble::Trouble;
use crate::writer::Writer;

/// How long commits under way may take to be answered.
const IDLE_PATIENCE: Duration = Duration::from_secs(2);

/// How long demoting and draining may take; commits wait meanwhile.
const DRAIN_PATIENCE: Duration = Duration::from_secs(3);

/// The pause begins when catching up takes no longer than this, or after some attempts.
const CLOSE: Duration = Duration::from_millis(50);
const ATTEMPTS: u32 = 20;

/// How long to wait before something is tried again.
const RETRY: Duration = Duration::from_millis(200);

/// What happens when one store takes over.
pub(crate) struct Handover<'a> {
    /// From the store that takes commits to the one that will.
    pub(crate) line: Line,
    /// Who follows the other way afterwards.
    pub(crate) back: Option<&'a FollowerName>,
    /// What it is before, recorded again when it does not work.
    pub(crate) before: Stage,
    /// While the one may be demoted.
    pub(crate) demoting: Stage,
    /// While the other may be promoted.
    pub(crate) promoting: fn(u64) -> Stage,
    pub(crate) switch: &'a Switch,
    pub(crate) board: &'a Board,
}

impl Handover<'_> {
    /// Hands over. After an error everything is as before.
    ///
    /// Not cancel safe: dropping it leaves what a start has to recover.
    pub(crate) async fn run(mut self, writer: &mut Writer) -> Result<(), Trouble> {
        let place = self.switch.admit(&self.line.to)?;
        self.come_close().await?;
        writer.save(&self.demoting).await?;
        let began = self.board.now();
        let paused = match self.switch.pause(IDLE_PATIENCE).await {
            Ok(paused) => paused,
            Err(error) => {
                self.save_for_certain(&self.before, writer).await;
                return Err(error.into());
            }
        };
        let last = match self.drain(writer).await {
            Ok(last) => last,
            Err(trouble) => {
                self.take_back(paused, writer).await;
                return Err(trouble);
            }
        };
        if let Err(trouble) = self.promote(last).await {
            self.take_back(paused, writer).await;
            return Err(trouble);
        }
        paused.switch_to(place, last);
        self.board.paused(self.board.now().since(began));
        Ok(())
    }

    /// Catches up until little is left for the pause.
    async fn come_close(&mut self) -> Result<(), Trouble> {
        for _ in 0..ATTEMPTS {
            let began = self.board.now();
            let present = self.line.from.snapshot().await?.version();
            self.line.catch_up(present).await?;
            if self.board.now().since(began) <= CLOSE {
                break;
            }
        }
        Ok(())
    }

    /// Demotes the one, applies its last changes to the other, and records that the other may be promoted.
    async fn drain(&mut self, writer: &mut Writer) -> Result<Version, Trouble> {
        let draining = async {
            let last = self.line.from.demote().await?;
            self.line.catch_up(last).await?;
            if let Some(back) = self.back {
                // From its very first commit on; what is left of an earlier attempt would be behind.
                self.line.to.unfollow(back).await?;
                self.line.to.follow(back).await?;
            }
            Ok::<_, Trouble>(last)
        };
        let last = timeout(DRAIN_PATIENCE, draining).await.unwrap_or_else(|_| {
            let reason = "the last changes could not be handed over in time, so it was taken back";
            Err(Trouble::Passing(reason.to_owned()))
        })?;
        writer.save(&(self.promoting)(last.as_u64())).await?;
        Ok(last)
    }

    /// Lets the other take commits. An error means that it certainly does not.
    async fn promote(&self, last: Version) -> Result<(), Trouble> {
        let mut may_be_promoted = false;
        loop {
            let promoted = timeout(DRAIN_PATIENCE, self.line.to.promote(last)).await;
            let error = match promoted {
                Ok(Ok(())) => return Ok(()),
                Ok(Err(CommitError::UnknownOutcome(reason))) => {
                    may_be_promoted = true;
                    CommitError::UnknownOutcome(reason)
                }
                Ok(Err(error)) if may_be_promoted => error,
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => {
                    may_be_promoted = true;
                    CommitError::UnknownOutcome("it did not answer in time".into())
                }
            };
            // It may have happened, so there is no way back.
            self.retry("the new store does not say whether it takes commits", &error)
                .await;
        }
    }

    /// Lets the one take commits again.
    async fn take_back(&self, paused: Paused, writer: &mut Writer) {
        // First the record: a start must not promote the other when this one takes commits.
        self.save_for_certain(&self.before, writer).await;
        while let Err(error) = self.line.from.promote(Version::ZERO).await {
            self.retry("the store does not take commits again yet", &error)
                .await;
        }
        drop(paused);
    }

    async fn save_for_certain(&self, stage: &Stage, writer: &mut Writer) {
        while let Err(error) = writer.save(stage).await {
            self.retry("no commits are taken until the journal can be written", &error)
                .await;
        }
    }

    async fn retry(&self, what: &str, error: &(dyn std::error::Error + Sync)) {
        tracing::error!("{what}: {error}");
        self.board.problem(Some(Problem {
            message: format!("{what}: {error}"),
            is_retried: true,
        }));
        sleep(RETRY).await;
    }
}
