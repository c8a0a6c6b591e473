//! Why a call got no answer.

use std::time::Duration;

use mainstay_base::{ErrorKind, Fault, Retryability};

/// Why a call got no answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct CallError {
    /// The one cause out of a closed list; labels metrics and spans, and is told to the caller in a header.
    pub reason: Reason,
    /// For the caller, in words: which edge, what happened, what to do.
    pub message: String,
    /// When to come back, where that is known.
    pub retry_after: Option<Duration>,
}

/// The causes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// No app and no external service of this name.
    UnknownTarget,
    /// The manifest does not declare this edge.
    NotAllowed,
    /// The method or path is malformed.
    InvalidRequest,
    /// The deadline had passed when the call came in.
    Expired,
    /// The deadline passed on the way.
    DeadlineExceeded,
    /// The breaker of the edge is open.
    BreakerOpen,
    /// The door of the callee was shut: too much load.
    Shed,
    /// No replica is ready.
    NoReplica,
    /// No connection to the replica.
    ConnectFailed,
    /// The attempt took too long.
    AttemptTimeout,
    /// The connection broke before the answer.
    Broken,
    /// The answer was no HTTP.
    Garbage,
    /// The caller's body broke off or was too large.
    RequestBody,
    /// A defect.
    Internal,
}

impl Reason {
    /// The word used in metrics, spans and headers: `breaker_open`.
    pub const fn as_str(self) -> &'static str {
        todo!()
    }

    /// What kind of error it is.
    pub const fn kind(self) -> ErrorKind {
        todo!()
    }

    /// Whose fault it is.
    pub const fn fault(self) -> Fault {
        todo!()
    }

    /// Whether the same call may be made again.
    pub const fn retryability(self) -> Retryability {
        todo!()
    }
}
