//! A store on its way into a backup: read at one moment, here or in another process.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use mainstay_store::limits::MAX_PAGE_ENTRIES;
use mainstay_store::{KeyRange, ReadError, Replicated, Scan, Snapshot, Token, Version};

use crate::format::{Decoder, FormatError, Record, Tally, encode};

/// Gives everything that a backup of a store holds, in parts.
pub trait Source: Send {
    /// The version of the store that it shows.
    fn at(&self) -> Version;

    /// The next entries and tokens; `None` after the last. Not cancel safe.
    fn next(&mut self) -> impl Future<Output = Result<Option<Vec<Record>>, SourceError>> + Send;
}

/// A store cannot be read to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the store cannot be read: {0}")]
pub struct SourceError(pub String);

/// A store of this process, read at the moment when this was made.
///
/// It holds a snapshot, which costs the store memory: read it to its end without rest, or drop it.
pub struct Export {
    store: Arc<dyn Replicated>,
    snapshot: Box<dyn Snapshot>,
    stage: Stage,
}

/// What comes next.
enum Stage {
    /// Tokens after this one. They come first, because they are forgotten after a while.
    Tokens(Option<Token>),
    /// Entries of this range.
    Entries(KeyRange),
    Nothing,
}

impl Export {
    /// Takes the moment.
    pub async fn begin(store: Arc<dyn Replicated>) -> Result<Self, SourceError> {
        let snapshot = store.snapshot().await?;
        Ok(Self {
            store,
            snapshot,
            stage: Stage::Tokens(None),
        })
    }

    async fn tokens(&mut self, after: Option<Token>) -> Result<Vec<Record>, SourceError> {
        let tokens = self.store.tokens(after.as_ref()).await?;
        self.stage = match tokens.last() {
            Some((last, _)) if tokens.len() >= MAX_PAGE_ENTRIES => Stage::Tokens(Some(last.clone())),
            _ => Stage::Entries(KeyRange::all()),
        };
        // Those of commits after the moment are not of it.
        let at = self.at();
        let tokens = tokens.into_iter().filter(|(_, version)| *version <= at);
        Ok(tokens
            .map(|(token, version)| Record::Token(token, version))
            .collect())
    }

    async fn entries(&mut self, range: KeyRange) -> Result<Vec<Record>, SourceError> {
        let page = self.snapshot.scan(&Scan::new(range)).await?;
        self.stage = page.rest.map_or(Stage::Nothing, Stage::Entries);
        Ok(page.entries.into_iter().map(Record::Entry).collect())
    }
}

impl Source for Export {
    fn at(&self) -> Version {
        self.snapshot.version()
    }

    async fn next(&mut self) -> Result<Option<Vec<Record>>, SourceError> {
        match std::mem::replace(&mut self.stage, Stage::Nothing) {
            Stage::Tokens(after) => self.tokens(after).await.map(Some),
            Stage::Entries(range) => self.entries(range).await.map(Some),
            Stage::Nothing => Ok(None),
        }
    }
}

impl fmt::Debug for Export {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Export")
            .field("at", &self.at())
            .finish_non_exhaustive()
    }
}

impl From<ReadError> for SourceError {
    fn from(error: ReadError) -> Self {
        Self(match error {
            ReadError::SnapshotTooOld => {
                "reading it took longer than it keeps a moment readable: back up to a faster \
                                          target, a local file for example, and copy that"
                    .to_owned()
            }
            error => error.to_string(),
        })
    }
}

/// Sends a source to another process: bytes that [`Incoming`] reads, ended by totals, so that nothing is missed.
pub struct Outgoing<S> {
    source: S,
    tally: Tally,
    stage: Sending,
}

enum Sending {
    Begin,
    Records,
    Nothing,
}

impl<S: Source> Outgoing<S> {
    /// Sends `source`.
    pub fn new(source: S) -> Self {
        Self {
            source,
            tally: Tally::new(),
            stage: Sending::Begin,
        }
    }

    /// The next bytes; `None` after the last. A source that fails says so in its last bytes. Not cancel safe.
    pub async fn next(&mut self) -> Option<Bytes> {
        let mut bytes = Vec::new();
        match self.stage {
            Sending::Begin => {
                self.stage = Sending::Records;
                let at = self.source.at();
                encode(&Record::Begin { at }, &mut bytes);
            }
            Sending::Records => match self.source.next().await {
                Ok(Some(records)) => {
                    for record in &records {
                        let start = bytes.len();
                        encode(record, &mut bytes);
                        self.tally.add(record, bytes.get(start..).unwrap_or_default());
                    }
                }
                Ok(None) => self.last(&Record::End(self.tally.totals()), &mut bytes),
                Err(SourceError(reason)) => self.last(&Record::Failed(reason), &mut bytes),
            },
            Sending::Nothing => return None,
        }
        Some(bytes.into())
    }

    fn last(&mut self, record: &Record, bytes: &mut Vec<u8>) {
        self.stage = Sending::Nothing;
        encode(record, bytes);
    }
}

/// Reads what [`Outgoing`] sends. Pure: bytes are pushed in.
pub struct Incoming {
    decoder: Decoder,
    tally: Tally,
    begin: Option<Version>,
    waiting: VecDeque<Record>,
    is_complete: bool,
}

impl Incoming {
    /// Before the first bytes.
    pub fn new() -> Self {
        Self {
            decoder: Decoder::default(),
            tally: Tally::new(),
            begin: None,
            waiting: VecDeque::new(),
            is_complete: false,
        }
    }

    /// The version of the store, once it has come.
    pub const fn begin(&self) -> Option<Version> {
        self.begin
    }

    /// Whether the totals have come and were right: what comes to an end without them is incomplete.
    pub fn is_complete(&self) -> bool {
        self.is_complete
    }

    /// Takes bytes; gives the records that they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Record>, SourceError> {
        let unreadable = |error: FormatError| SourceError(format!("the system sent something else: {error}"));
        self.decoder.push(bytes);
        while let Some((record, bytes)) = self.decoder.pull().map_err(unreadable)? {
            match record {
                _ if self.is_complete => {
                    return Err(SourceError("the system sent something after the end".to_owned()));
                }
                Record::Begin { at } if self.begin.is_none() => self.begin = Some(at),
                Record::Failed(reason) => return Err(SourceError(reason)),
                Record::End(totals) if totals == self.tally.totals() => self.is_complete = true,
                Record::Entry(_) | Record::Token(..) if self.begin.is_some() => {
                    self.tally.add(&record, &bytes);
                    self.waiting.push_back(record);
                }
                _ => {
                    return Err(SourceError(
                        "the system sent something else than it read".to_owned(),
                    ));
                }
            }
        }
        Ok(std::mem::take(&mut self.waiting).into())
    }
}

impl Default for Incoming {
    fn default() -> Self {
        Self::new()
    }
}
