//! One migration: does what each of its tasks says.

use std::sync::Arc;
use std::time::Duration;

use mainstay_store::{FollowerName, InvalidFollowerName, KeyRange, Replicated, Role, Scan, Switch};
use tokio::sync::OnceCell;
use tokio::time::timeout;

use crate::board::Board;
use crate::compare::compare;
use crate::copy;
use crate::cursor::Cursor;
use crate::handover::Handover;
use crate::journal::Place;
use crate::line::Line;
use crate::port::{OpenStore, Stores};
use crate::stage::{Side, Stage, Task};
use crate::start::Settings;
use crate::status::Phase;
use crate::trouble::Trouble;
use crate::writer::Writer;

/// How often a follower looks when it was not woken.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// What a migration works with.
pub(crate) struct Job {
    stores: Arc<dyn Stores>,
    switch: Switch,
    board: Arc<Board>,
    settings: Settings,
    places: (Place, Place),
    source: OnceCell<Arc<dyn OpenStore>>,
    target: OnceCell<Arc<dyn OpenStore>>,
    /// The follower of the source, and the one of the target.
    names: (FollowerName, FollowerName),
}

/// What a task comes to.
#[derive(Debug)]
pub(crate) enum Done {
    /// Go on from this stage.
    Stage(Stage),
    /// The copy is not right; somebody has to decide.
    Differs(String),
    /// The same stage, and nothing is wanted any more.
    Same,
}

impl Job {
    pub(crate) fn new(
        stores: Arc<dyn Stores>,
        switch: Switch,
        board: Arc<Board>,
        settings: Settings,
        places: (Place, Place),
    ) -> Result<Self, InvalidFollowerName> {
        Ok(Self {
            stores,
            switch,
            board,
            settings,
            places,
            source: OnceCell::new(),
            target: OnceCell::new(),
            names: (FollowerName::new("migrate")?, FollowerName::new("migrate-back")?),
        })
    }

    /// A store that is open already.
    pub(crate) fn with_source(self, store: Arc<dyn OpenStore>) -> Self {
        // It is new, so there is none yet.
        let _ = self.source.set(store);
        self
    }

    /// A store that is open already.
    pub(crate) fn with_target(self, store: Arc<dyn OpenStore>) -> Self {
        let _ = self.target.set(store);
        self
    }

    /// The store that takes commits when the migration is over, where it was opened.
    pub(crate) fn into_serving(self, side: Side) -> Option<(Place, Arc<dyn OpenStore>)> {
        let (source, target) = self.places;
        let (place, open) = match side {
            Side::Source => (source, self.source),
            Side::Target => (target, self.target),
        };
        Some((place, open.into_inner()?))
    }

    /// Does a task; some never end by themselves. Cancel safe but for those that hand over, see [`Handover::run`].
    pub(crate) async fn perform(&self, task: Task, writer: &mut Writer) -> Result<Done, Trouble> {
        match task {
            Task::Prepare => self.prepare().await,
            Task::Copy(cursor) => self.copy(cursor).await,
            Task::Compare => {
                let done = self.compare(&mut self.there().await?).await?;
                Ok(done.unwrap_or(Done::Stage(Stage::Ready)))
            }
            Task::Follow => self.keep_up(self.there().await?).await,
            Task::CutOver => self.cut_over(writer).await,
            Task::FollowBack { compares } => {
                let mut back = self.back().await?;
                if compares {
                    let done = self.compare(&mut back).await?;
                    return Ok(done.unwrap_or(Done::Same));
                }
                self.keep_up(back).await
            }
            Task::CutBack => self.cut_back(writer).await,
            Task::Drop => self.drop_copy(writer).await,
            Task::LetGo => self.let_go(writer).await,
            Task::Rest => std::future::pending().await,
        }
    }

    async fn source(&self) -> Result<Arc<dyn Replicated>, Trouble> {
        let opening = || self.stores.open(&self.places.0);
        let open = self.source.get_or_try_init(opening).await?;
        Ok(open.store())
    }

    async fn target(&self) -> Result<Arc<dyn Replicated>, Trouble> {
        Ok(self.open_target().await?.store())
    }

    async fn open_target(&self) -> Result<&Arc<dyn OpenStore>, Trouble> {
        let opening = || self.stores.open(&self.places.1);
        Ok(self.target.get_or_try_init(opening).await?)
    }

    /// From the source to the target.
    async fn there(&self) -> Result<Line, Trouble> {
        Line::open(self.source().await?, self.target().await?, self.names.0.clone()).await
    }

    /// From the target to the source.
    async fn back(&self) -> Result<Line, Trouble> {
        let (source, target) = (self.source().await?, self.target().await?);
        // The copy is the store now, and needs no changes of what it was copied from.
        source.unfollow(&self.names.0).await?;
        Line::open(target, source, self.names.1.clone()).await
    }

    async fn prepare(&self) -> Result<Done, Trouble> {
        let (source, target) = (self.source().await?, self.target().await?);
        check_empty(&target, &self.places.1).await?;
        target.demote().await?;
        // One of an earlier migration would be behind.
        source.unfollow(&self.names.0).await?;
        source.follow(&self.names.0).await?;
        Ok(Done::Stage(Stage::Copying {
            cursor: Cursor::start(),
        }))
    }

    async fn copy(&self, cursor: Cursor) -> Result<Done, Trouble> {
        let mut line = self.there().await?;
        if !self.board.is_counting() {
            let total = about_entries(&line).await;
            self.board.begin(Phase::Copying, cursor.done(), total);
        }
        let next = copy::round(&mut line, cursor, self.settings.copy, &self.board).await?;
        let Some(cursor) = next else {
            self.board.end();
            return Ok(Done::Stage(Stage::Following));
        };
        Ok(Done::Stage(Stage::Copying { cursor }))
    }

    /// `None` when everything is right.
    async fn compare(&self, line: &mut Line) -> Result<Option<Done>, Trouble> {
        let present = line.from.snapshot().await?.version();
        line.catch_up(present).await?;
        let total = about_entries(line).await;
        self.board.begin(Phase::Verifying, 0, total);
        let compared = compare(line, self.settings.compare, &self.board).await?;
        self.board.end();
        if compared.differs.is_none() {
            self.board.verified(Some(&compared));
        }
        Ok(compared.differs.map(|range| {
            Done::Differs(format!(
                "the copy differs in the keys {range}, and copying them once more did not help"
            ))
        }))
    }

    /// Follows until somebody wants something.
    async fn keep_up(&self, mut line: Line) -> Result<Done, Trouble> {
        let mut watch = line.from.watch(bytes::Bytes::new());
        loop {
            let present = line.from.snapshot().await?.version();
            line.catch_up(present).await?;
            self.board.lag(line.waiting_bytes().await?);
            self.board.works();
            // A store that is closed says so when it is read.
            let _ = timeout(LOOK_INTERVAL, watch.changed()).await;
        }
    }

    async fn cut_over(&self, writer: &mut Writer) -> Result<Done, Trouble> {
        let handover = Handover {
            line: self.there().await?,
            back: Some(&self.names.1),
            before: Stage::Ready,
            demoting: Stage::CuttingOver,
            promoting: |last| Stage::Promoting { last },
            switch: &self.switch,
            board: &self.board,
        };
        handover.run(writer).await?;
        Ok(Done::Stage(Stage::Moved))
    }

    async fn cut_back(&self, writer: &mut Writer) -> Result<Done, Trouble> {
        let handover = Handover {
            line: self.back().await?,
            back: None,
            before: Stage::Moved,
            demoting: Stage::CuttingBack,
            promoting: |last| Stage::PromotingBack { last },
            switch: &self.switch,
            board: &self.board,
        };
        handover.run(writer).await?;
        Ok(Done::Stage(Stage::Dropping))
    }

    async fn drop_copy(&self, writer: &mut Writer) -> Result<Done, Trouble> {
        writer.save(&Stage::Dropping).await?;
        self.source().await?.unfollow(&self.names.0).await?;
        let target = self.open_target().await?;
        let failed = |reason| Trouble::Passing(format!("the copy cannot be removed: {reason}"));
        target.destroy().await.map_err(failed)?;
        Ok(Done::Stage(Stage::BackedOut))
    }

    async fn let_go(&self, writer: &mut Writer) -> Result<Done, Trouble> {
        writer.save(&Stage::Finishing).await?;
        self.target().await?.unfollow(&self.names.1).await?;
        if let Some(source) = self.source.get() {
            source.close().await;
        }
        Ok(Done::Stage(Stage::Finished))
    }
}

/// It is only shown, so nothing depends on it.
async fn about_entries(line: &Line) -> Option<u64> {
    line.from.about_entries().await.ok()
}

/// Refuses a target that holds something.
pub(crate) async fn check_empty(store: &Arc<dyn Replicated>, place: &Place) -> Result<(), Trouble> {
    let page = store.scan(&Scan::new(KeyRange::all()).limit(1)).await?;
    if page.entries.is_empty() {
        return Ok(());
    }
    let what = match store.role().await? {
        Role::Primary => "holds data",
        Role::Replica => "holds a copy of another store",
    };
    Err(Trouble::Lasting(format!(
        "the target, {}, {what}: a migration needs an empty one",
        place.location
    )))
}
