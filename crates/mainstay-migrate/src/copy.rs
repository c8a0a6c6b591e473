//! Copying: pages of one store on their way into the other, several at once.
//!
//! It goes in rounds. In a round, pages are read and copied; then, when all of them are there, what has changed meanwhile
//! is applied. So no page comes late: an older page could bring back what a change has deleted. And what is kept for the
//! follower does not grow for as long as everything takes.

use std::sync::Arc;
use std::time::Duration;

use mainstay_store::{CommitError, Portion, Replicated, Scan, Version};
use tokio::task::JoinSet;

use crate::board::Board;
use crate::cursor::{Cursor, Hex};
use crate::line::Line;
use crate::trouble::Trouble;

/// How copying is done.
#[derive(Clone, Copy, Debug)]
pub struct CopyOptions {
    /// How many entries are read at once: 2,000.
    pub page_entries: usize,
    /// How many pages are being copied at a time: 4.
    pub pages_in_flight: usize,
    /// How long a round takes: 1 s.
    pub round: Duration,
}

impl Default for CopyOptions {
    fn default() -> Self {
        Self {
            page_entries: 2_000,
            pages_in_flight: 4,
            round: Duration::from_secs(1),
        }
    }
}

/// What is read at once.
struct Page {
    portion: Portion,
    /// The moment that it shows.
    at: Version,
    next: Option<Cursor>,
}

/// Copies for a round from `cursor` on. Gives where to go on, when all before it is durable; `None` at the end.
///
/// Cancel safe: the round is done again.
pub(crate) async fn round(
    line: &mut Line,
    cursor: Cursor,
    options: CopyOptions,
    board: &Board,
) -> Result<Option<Cursor>, Trouble> {
    let mut copying = JoinSet::new();
    let read = read_and_copy(line, cursor, options, board, &mut copying).await;
    // Also after an error: a page that comes late must not meet what is applied later.
    let mut settled = Ok(());
    while let Some(copied) = copying.join_next().await {
        settled = settled.and(settle(Some(copied), board));
    }
    let (latest, next) = read?;
    settled?;
    line.catch_up(latest).await?;
    // Copies become durable with what is applied, and there may have been nothing.
    line.to.apply(&[]).await?;
    Ok(next)
}

type Copying = JoinSet<Result<(u64, u64), CommitError>>;

/// Gives the latest moment that a page shows, and where to go on.
async fn read_and_copy(
    line: &Line,
    cursor: Cursor,
    options: CopyOptions,
    board: &Board,
    copying: &mut Copying,
) -> Result<(Version, Option<Cursor>), Trouble> {
    let began = board.now();
    let mut next = Some(cursor);
    let mut latest = line.after();
    while let Some(cursor) = next.take() {
        let page = read(&line.from, &cursor, options.page_entries).await?;
        latest = latest.max(page.at);
        if copying.len() >= options.pages_in_flight.max(1) {
            settle(copying.join_next().await, board)?;
        }
        copying.spawn(copy(Arc::clone(&line.to), page.portion));
        next = page.next;
        if board.now().since(began) >= options.round {
            break;
        }
    }
    Ok((latest, next))
}

async fn read(from: &Arc<dyn Replicated>, cursor: &Cursor, entries: usize) -> Result<Page, Trouble> {
    match cursor {
        Cursor::Entries { from: key, done } => {
            let page = from.scan(&Scan::new(key.keys_from()).limit(entries)).await?;
            let done = done + page.entries.len() as u64;
            let next = match page.rest {
                Some(rest) => Cursor::Entries {
                    from: Hex(rest.start),
                    done,
                },
                None => Cursor::Tokens {
                    after: Hex::default(),
                    done,
                },
            };
            let portion = Portion {
                entries: page.entries,
                tokens: Vec::new(),
            };
            Ok(Page {
                portion,
                at: page.at,
                next: Some(next),
            })
        }
        Cursor::Tokens { after, done } => {
            let tokens = from.tokens(after.token().as_ref()).await?;
            let next = tokens.last().map(|(last, _)| Cursor::Tokens {
                after: Hex(last.as_bytes().clone()),
                done: *done,
            });
            let portion = Portion {
                entries: Vec::new(),
                tokens,
            };
            Ok(Page {
                portion,
                at: Version::ZERO,
                next,
            })
        }
    }
}

async fn copy(to: Arc<dyn Replicated>, portion: Portion) -> Result<(u64, u64), CommitError> {
    let (entries, bytes) = (portion.entries.len() as u64, portion.size_bytes() as u64);
    if entries > 0 || !portion.tokens.is_empty() {
        to.copy(portion).await?;
    }
    Ok((entries, bytes))
}

type Copied = Result<Result<(u64, u64), CommitError>, tokio::task::JoinError>;

fn settle(copied: Option<Copied>, board: &Board) -> Result<(), Trouble> {
    match copied {
        Some(Ok(Ok((entries, bytes)))) => board.copied(entries, bytes),
        Some(Ok(Err(error))) => return Err(error.into()),
        Some(Err(error)) => return Err(Trouble::Passing(error.to_string())),
        None => {}
    }
    Ok(())
}
