//! Comparing: whether the follower holds what the other does, range by range, while the other is in use.
//!
//! For some seconds, the follower stands still at the moment of a snapshot of the other, and ranges of both are compared by
//! their digests. A difference is therefore one: it cannot be a change that is still on its way.

use std::sync::Arc;
use std::time::Duration;

use mainstay_store::{KeyRange, Page, Portion, ReadError, Replicated, Scan, Snapshot};
use tokio::task::JoinSet;

use crate::board::Board;
use crate::digest::{self, Digest, Digester};
use crate::line::Line;
use crate::trouble::Trouble;

/// How comparing is done.
#[derive(Clone, Copy, Debug)]
pub struct CompareOptions {
    /// How many entries a range has: 1,000.
    pub range_entries: usize,
    /// How many ranges are being compared at a time: 4.
    pub ranges_in_flight: usize,
    /// How long the follower stands still: 2 s.
    pub stand: Duration,
}

impl Default for CompareOptions {
    fn default() -> Self {
        Self {
            range_entries: 1_000,
            ranges_in_flight: 4,
            stand: Duration::from_secs(2),
        }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Compared {
    pub(crate) ranges: u64,
    /// Ranges that differed and were copied once more.
    pub(crate) repaired: u64,
    /// The first range that still differs.
    pub(crate) differs: Option<String>,
}

/// Compares everything. Cancel safe: what was repaired stays so.
pub(crate) async fn compare(
    line: &mut Line,
    options: CompareOptions,
    board: &Board,
) -> Result<Compared, Trouble> {
    let mut compared = Compared::default();
    let mut rest = Some(KeyRange::all());
    while let Some(range) = rest.take() {
        let snapshot = line.from.snapshot().await?;
        line.stand_at(snapshot.version()).await?;
        let (differing, next) = stand(line, snapshot.as_ref(), range, options, board).await?;
        drop(snapshot);
        compared.ranges += next.ranges;
        for page in differing {
            repair(&line.to, page, &mut compared).await?;
        }
        if compared.differs.is_some() {
            return Ok(compared);
        }
        rest = next.rest;
    }
    Ok(compared)
}

/// How far a stand came.
struct Stood {
    ranges: u64,
    rest: Option<KeyRange>,
}

/// Compares ranges for as long as the follower may stand still. Gives the pages of those that differ.
async fn stand(
    line: &Line,
    snapshot: &dyn Snapshot,
    range: KeyRange,
    options: CompareOptions,
    board: &Board,
) -> Result<(Vec<Page>, Stood), Trouble> {
    let began = board.now();
    let mut looking = JoinSet::new();
    let mut differing = Vec::new();
    let mut stood = Stood {
        ranges: 0,
        rest: Some(range),
    };
    while let Some(range) = stood.rest.take() {
        let page = snapshot
            .scan(&Scan::new(range).limit(options.range_entries))
            .await?;
        stood.rest.clone_from(&page.rest);
        stood.ranges += 1;
        if looking.len() >= options.ranges_in_flight.max(1) {
            note(looking.join_next().await, &mut differing, board)?;
        }
        looking.spawn(look(Arc::clone(&line.to), page));
        if board.now().since(began) >= options.stand {
            break;
        }
    }
    while let Some(looked) = looking.join_next().await {
        note(Some(looked), &mut differing, board)?;
    }
    Ok((differing, stood))
}

type Looked = Result<Result<(Page, bool), Trouble>, tokio::task::JoinError>;

fn note(looked: Option<Looked>, differing: &mut Vec<Page>, board: &Board) -> Result<(), Trouble> {
    match looked {
        Some(Ok(Ok((page, is_same)))) => {
            board.compared(page.entries.len() as u64);
            if !is_same {
                differing.push(page);
            }
        }
        Some(Ok(Err(trouble))) => return Err(trouble),
        Some(Err(error)) => return Err(Trouble::Passing(error.to_string())),
        None => {}
    }
    Ok(())
}

/// Whether a store holds in the range of a page what the page does.
async fn look(to: Arc<dyn Replicated>, page: Page) -> Result<(Page, bool), Trouble> {
    let is_same = match digest_of(&to, page.covered.clone()).await {
        Ok(found) => found == digest::of(&page.entries),
        // What is damaged there is there here.
        Err(ReadError::Damaged(damage)) => {
            tracing::warn!("the copy: {damage}");
            false
        }
        Err(error) => return Err(error.into()),
    };
    Ok((page, is_same))
}

async fn digest_of(store: &Arc<dyn Replicated>, range: KeyRange) -> Result<Digest, ReadError> {
    let mut digester = Digester::new();
    let mut rest = Some(range);
    while let Some(range) = rest {
        let page = store.scan(&Scan::new(range)).await?;
        for entry in &page.entries {
            digester.add(entry);
        }
        rest = page.rest;
    }
    Ok(digester.finish())
}

/// Copies a range once more. What is there and should not be stays, and so does the difference.
async fn repair(to: &Arc<dyn Replicated>, page: Page, compared: &mut Compared) -> Result<(), Trouble> {
    tracing::warn!(range = ?page.covered, "the copy differs from the store in a range: it is copied once more");
    let portion = Portion {
        entries: page.entries.clone(),
        tokens: Vec::new(),
    };
    to.copy(portion).await?;
    to.apply(&[]).await?;
    compared.repaired += 1;
    let (page, is_same) = look(Arc::clone(to), page).await?;
    if !is_same && compared.differs.is_none() {
        compared.differs = Some(format!("{:?}", page.covered));
    }
    Ok(())
}
