//! Moving what is stored to another engine while it is in use.
//!
//! ```text
//!   copy ──> follow ──> verify ──> ready ──> cut over ──> follow back ──> finish
//!     │        │          │          │                         │
//!     └────────┴──── back out: the copy is removed             └── back out: cut over in the other direction
//! ```
//!
//! Until the cut over, the source is the store and the target a copy of it; afterwards it is the other way round, so that
//! there is a way back that loses nothing. Which of them takes commits is decided by a journal, of which each stage is
//! durable before what it allows is done: see [`Stage`].
//!
//! [`start`] opens the store that the manifest names, or says where the data went, and gives a
//! [`Switch`](mainstay_store::Switch) for the whole runtime and the [`Service`] that moves it. The service is the only
//! one that writes the journal.

mod board;
mod compare;
mod copy;
mod cursor;
mod digest;
mod handover;
mod job;
mod journal;
mod line;
mod port;
mod progress;
mod service;
mod stage;
mod start;
mod status;
mod trouble;
mod writer;

pub use compare::CompareOptions;
pub use copy::CopyOptions;
pub use cursor::{Cursor, Hex};
pub use journal::{Journal, JournalError, JournalFile, Place, Record};
pub use port::{OpenProblem, OpenStore, Stores};
pub use service::{Handle, Refusal, Running, Service};
pub use stage::{Recovery, Side, Stage, Task, Untimely, Wish};
pub use start::{Options, Settings, StartError, start};
pub use status::{Phase, Problem, Status};
