//! One store for the whole runtime that can be pointed at another one while it is in use.
//!
//! ```text
//!   layers ──> Switch ──> the present store          the next one
//!                 │             ^                         ^
//!                 │  pause: new commits wait, those under way are answered
//!                 │  demote, drain, promote               │
//!                 └─ switch_to ───────────────────────────┘  those that wait go there
//! ```
//!
//! Reads and snapshots go on during a pause. A read that began before the switch shows the line as it was then, which is a
//! moment of the call. Watches are carried along: each wakes once at the switch.

mod gate;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;

use self::gate::{Gate, Pause};
use crate::batch::Batch;
use crate::error::{CommitError, ReadError};
use crate::key::Key;
use crate::port::{Commit, Page, Read, Reply, Scan, Snapshot, Store};
use crate::replication::Replicated;
use crate::version::Version;
use crate::watch::{Elsewhere, KeyWatch, Moves, Watch};

/// How many stores a switch can know. It keeps all of them open, because answers that are under way borrow from them.
pub const MAX_SWITCH_STORES: usize = 16;

/// Points at a store, and can be pointed at another one. Clones are the same switch.
#[derive(Clone, Debug)]
pub struct Switch {
    shared: Arc<Shared>,
}

struct Shared {
    stores: [OnceLock<Arc<dyn Replicated>>; MAX_SWITCH_STORES],
    present: AtomicUsize,
    gate: Arc<Gate>,
    /// The last version of the store that was left.
    moves: watch::Sender<Version>,
}

/// A store that a [`Switch`] can be pointed at.
#[derive(Clone, Copy, Debug)]
pub struct Place(usize);

/// Commits wait for as long as this lives.
#[derive(Debug)]
pub struct Paused {
    shared: Arc<Shared>,
    pause: Pause,
}

/// Why a switch could not be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SwitchError {
    /// It was pointed at so many stores.
    #[error("the store was moved {MAX_SWITCH_STORES} times: restart Mainstay to move it again")]
    TooMany,
    /// Somebody else holds commits back.
    #[error("commits are being held back already")]
    Paused,
    /// Commits under way were not answered in time.
    #[error("commits under way were not answered within {} ms", .0.as_millis())]
    Busy(Duration),
}

impl Switch {
    /// Points at `store`.
    pub fn new(store: Arc<dyn Replicated>) -> Self {
        let stores: [OnceLock<Arc<dyn Replicated>>; MAX_SWITCH_STORES] = Default::default();
        let [first, ..] = &stores;
        // It is empty.
        let _ = first.set(store);
        Self {
            shared: Arc::new(Shared {
                stores,
                present: AtomicUsize::new(0),
                gate: Arc::new(Gate::new()),
                moves: watch::channel(Version::ZERO).0,
            }),
        }
    }

    /// The store that it points at.
    pub fn present(&self) -> Arc<dyn Replicated> {
        Arc::clone(self.shared.present())
    }

    fn elsewhere(&self, prefix: &Bytes) -> Elsewhere {
        let moves: Weak<Shared> = Arc::downgrade(&self.shared);
        Elsewhere::new(prefix.clone(), self.shared.moves.subscribe(), moves)
    }

    /// Makes room for a store that it may be pointed at later. The same store has the same place.
    pub fn admit(&self, store: &Arc<dyn Replicated>) -> Result<Place, SwitchError> {
        for (index, slot) in self.shared.stores.iter().enumerate() {
            let known = slot.get_or_init(|| Arc::clone(store));
            if Arc::ptr_eq(known, store) {
                return Ok(Place(index));
            }
        }
        Err(SwitchError::TooMany)
    }

    /// Lets new commits wait, and waits until those under way are answered, for `patience` at most. Commits that wait for
    /// longer than some seconds are refused as [`CommitError::Overloaded`], and so are more than some thousands.
    ///
    /// # Cancel safety
    /// Cancel safe: dropping it lets commits go on.
    pub async fn pause(&self, patience: Duration) -> Result<Paused, SwitchError> {
        let pause = self.shared.gate.pause().ok_or(SwitchError::Paused)?;
        if !pause.is_idle_within(patience).await {
            return Err(SwitchError::Busy(patience));
        }
        let shared = Arc::clone(&self.shared);
        Ok(Paused { shared, pause })
    }
}

impl Paused {
    /// Points at the store in `place`, which has to be the only one that takes commits and to hold all up to `last`, the
    /// last version of the one that it pointed at. Ends the pause.
    pub fn switch_to(self, place: Place, last: Version) {
        self.shared.present.store(place.0, Ordering::SeqCst);
        self.shared.moves.send_replace(last);
        drop(self.pause);
    }
}

impl Shared {
    fn present(&self) -> &Arc<dyn Replicated> {
        let [first, ..] = &self.stores;
        let present = self.stores.get(self.present.load(Ordering::SeqCst));
        // Places are only given out when a store is there, and the first one is there from the beginning.
        present.and_then(OnceLock::get).unwrap_or_else(|| first.wait())
    }
}

impl Moves for Shared {
    fn watch_here(&self, prefix: Bytes) -> Watch {
        self.present().watch(prefix)
    }

    fn watch_keys_here(&self, prefix: Bytes) -> KeyWatch {
        self.present().watch_keys(prefix)
    }
}

impl Store for Switch {
    fn commit(&self, batch: Batch) -> Reply<'_, Result<Commit, CommitError>> {
        let gate = &self.shared.gate;
        if gate.enter() {
            let answer = self.shared.present().commit(batch);
            return answer.tell(Arc::clone(gate) as _);
        }
        Reply::waiting(async move {
            gate.enter_later(&batch).await?;
            let answer = self.shared.present().commit(batch);
            answer.tell(Arc::clone(gate) as _).await
        })
    }

    fn read<'a>(&'a self, keys: &'a [Key]) -> Reply<'a, Result<Read, ReadError>> {
        self.shared.present().read(keys)
    }

    fn scan<'a>(&'a self, scan: &'a Scan) -> Reply<'a, Result<Page, ReadError>> {
        self.shared.present().scan(scan)
    }

    fn snapshot(&self) -> Reply<'_, Result<Box<dyn Snapshot>, ReadError>> {
        self.shared.present().snapshot()
    }

    fn resolves_outcomes(&self) -> bool {
        self.shared.present().resolves_outcomes()
    }

    fn watch(&self, prefix: Bytes) -> Watch {
        // First the moves, so that one that comes meanwhile is noticed.
        let elsewhere = self.elsewhere(&prefix);
        self.shared.present().watch(prefix).carried(elsewhere)
    }

    fn watch_keys(&self, prefix: Bytes) -> KeyWatch {
        let elsewhere = self.elsewhere(&prefix);
        self.shared.present().watch_keys(prefix).carried(elsewhere)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Shared")
            .field("present", self.present())
            .field("gate", &self.gate)
            .finish_non_exhaustive()
    }
}
