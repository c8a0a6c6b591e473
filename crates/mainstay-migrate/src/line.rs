//! One store that follows another.

use std::sync::Arc;

use mainstay_store::{FollowerName, Replicated, Version};

use crate::trouble::Trouble;

/// The changes of one store on their way to the other.
#[derive(Debug)]
pub(crate) struct Line {
    /// The store that takes commits.
    pub(crate) from: Arc<dyn Replicated>,
    /// The one that follows.
    pub(crate) to: Arc<dyn Replicated>,
    name: FollowerName,
    /// What was applied and confirmed.
    after: Version,
}

impl Line {
    /// Follows from where it was left, or from now on.
    pub(crate) async fn open(
        from: Arc<dyn Replicated>,
        to: Arc<dyn Replicated>,
        name: FollowerName,
    ) -> Result<Self, Trouble> {
        let after = from.follow(&name).await?;
        Ok(Self {
            from,
            to,
            name,
            after,
        })
    }

    pub(crate) const fn after(&self) -> Version {
        self.after
    }

    /// How many bytes of changes are waiting.
    pub(crate) async fn waiting_bytes(&self) -> Result<u64, Trouble> {
        let followers = self.from.followers().await?;
        let this = followers.iter().find(|following| following.name == self.name);
        Ok(this.map_or(0, |following| following.kept_bytes))
    }

    /// Applies what there is, part by part, until all up to `goal` is there.
    pub(crate) async fn catch_up(&mut self, goal: Version) -> Result<(), Trouble> {
        while self.after < goal && self.advance(None).await? {}
        Ok(())
    }

    /// Applies everything up to `moment` and nothing after it: the follower is what the other was then.
    pub(crate) async fn stand_at(&mut self, moment: Version) -> Result<(), Trouble> {
        while self.after < moment && self.advance(Some(moment)).await? {}
        Ok(())
    }

    /// Applies one part, as far as `moment`. Says whether there is more.
    async fn advance(&mut self, moment: Option<Version>) -> Result<bool, Trouble> {
        let mut changes = self.from.changes(&self.name, self.after).await?;
        let mut has_more = changes.has_more;
        if let Some(moment) = moment.filter(|moment| changes.up_to > *moment) {
            let within = changes.commits.partition_point(|commit| commit.version <= moment);
            changes.commits.truncate(within);
            changes.up_to = moment;
            has_more = false;
        }
        if !changes.commits.is_empty() {
            self.to.apply(&changes.commits).await?;
        }
        if changes.up_to > self.after {
            self.from.confirm(&self.name, changes.up_to).await?;
            self.after = changes.up_to;
        }
        Ok(has_more)
    }
}
