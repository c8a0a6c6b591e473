//! Why a call got no answer.

use std::fmt::{self, Write as _};
use std::time::Duration;

use mainstay_base::{AppId, ErrorKind, Fault, Retryability, format_duration};

use crate::EdgeConfig;

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

impl CallError {
    /// An error without a time to come back.
    pub(crate) fn new(reason: Reason, message: String) -> Self {
        Self {
            reason,
            message,
            retry_after: None,
        }
    }

    /// Says when to come back.
    #[must_use]
    pub(crate) fn retry_after(self, retry_after: Duration) -> Self {
        Self {
            retry_after: Some(retry_after),
            ..self
        }
    }

    /// There is nobody of that name.
    pub(crate) fn unknown_target(target: &str) -> Self {
        let message = format!("there is no app and no external service called `{target}` in the manifest");
        Self::new(Reason::UnknownTarget, message)
    }

    /// The edge is not declared.
    pub(crate) fn not_allowed(caller: &AppId, target: &str) -> Self {
        let message =
            format!("`{caller}` may not call `{target}`: add it to `calls:` of {caller} in the manifest");
        Self::new(Reason::NotAllowed, message)
    }

    /// The call of this edge failed for `reason`, of which `detail` says more.
    pub(crate) fn on_edge(edge: &EdgeConfig, reason: Reason, detail: Option<&dyn fmt::Display>) -> Self {
        let (caller, target) = (&edge.caller, &edge.target);
        let policy = &edge.policy;
        let what = match reason {
            Reason::Expired => "came too late: its deadline had passed".to_owned(),
            Reason::DeadlineExceeded => "did not end before its deadline".to_owned(),
            Reason::BreakerOpen => {
                format!(
                    "was not made: too many calls failed lately, see `mainstay explain {caller}->{target}`"
                )
            }
            Reason::Shed => {
                format!("was turned away: `{target}` has more to do than it can, come back later")
            }
            Reason::NoReplica => format!("found no replica of `{target}` ready: see `mainstay status`"),
            Reason::ConnectFailed => format!("failed: `{target}` accepts no connection"),
            Reason::AttemptTimeout => {
                let limit = format_duration(policy.attempt_timeout);
                format!("failed: `{target}` did not answer within {limit}")
            }
            Reason::Broken => format!("failed: `{target}` broke the connection before it answered"),
            Reason::Garbage => format!("failed: `{target}` answered with something that is no HTTP"),
            Reason::RequestBody => "failed: its request body broke off".to_owned(),
            Reason::InvalidRequest => "is malformed".to_owned(),
            Reason::UnknownTarget | Reason::NotAllowed | Reason::Internal => "failed".to_owned(),
        };
        let mut message = format!("the call {caller}->{target} {what}");
        if let Some(detail) = detail {
            let _ = write!(message, " ({detail})");
        }
        Self::new(reason, message)
    }
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
    /// Every cause.
    pub const ALL: [Self; 14] = [
        Self::UnknownTarget,
        Self::NotAllowed,
        Self::InvalidRequest,
        Self::Expired,
        Self::DeadlineExceeded,
        Self::BreakerOpen,
        Self::Shed,
        Self::NoReplica,
        Self::ConnectFailed,
        Self::AttemptTimeout,
        Self::Broken,
        Self::Garbage,
        Self::RequestBody,
        Self::Internal,
    ];

    /// The word used in metrics, spans and headers: `breaker_open`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownTarget => "unknown_target",
            Self::NotAllowed => "not_allowed",
            Self::InvalidRequest => "invalid_request",
            Self::Expired => "expired",
            Self::DeadlineExceeded => "deadline_exceeded",
            Self::BreakerOpen => "breaker_open",
            Self::Shed => "shed",
            Self::NoReplica => "no_replica",
            Self::ConnectFailed => "connect_failed",
            Self::AttemptTimeout => "attempt_timeout",
            Self::Broken => "broken",
            Self::Garbage => "garbage",
            Self::RequestBody => "request_body",
            Self::Internal => "internal",
        }
    }

    /// What kind of error it is.
    pub const fn kind(self) -> ErrorKind {
        match self {
            Self::UnknownTarget => ErrorKind::NotFound,
            Self::NotAllowed => ErrorKind::PermissionDenied,
            Self::InvalidRequest | Self::RequestBody => ErrorKind::InvalidArgument,
            Self::Expired | Self::DeadlineExceeded | Self::AttemptTimeout => ErrorKind::DeadlineExceeded,
            Self::Shed => ErrorKind::Overloaded,
            Self::BreakerOpen | Self::NoReplica | Self::ConnectFailed | Self::Broken | Self::Garbage => {
                ErrorKind::Unavailable
            }
            Self::Internal => ErrorKind::Internal,
        }
    }

    /// Whose fault it is.
    pub const fn fault(self) -> Fault {
        match self {
            Self::UnknownTarget
            | Self::NotAllowed
            | Self::InvalidRequest
            | Self::Expired
            | Self::RequestBody => Fault::Caller,
            Self::DeadlineExceeded
            | Self::BreakerOpen
            | Self::Shed
            | Self::NoReplica
            | Self::ConnectFailed
            | Self::AttemptTimeout
            | Self::Broken
            | Self::Garbage => Fault::Callee,
            Self::Internal => Fault::Runtime,
        }
    }

    /// Whether the same call may be made again, now or after [`CallError::retry_after`].
    pub const fn retryability(self) -> Retryability {
        match self {
            Self::UnknownTarget
            | Self::NotAllowed
            | Self::InvalidRequest
            | Self::Expired
            | Self::DeadlineExceeded
            | Self::RequestBody
            | Self::Internal => Retryability::Never,
            Self::BreakerOpen | Self::Shed | Self::NoReplica | Self::ConnectFailed => Retryability::Always,
            Self::AttemptTimeout | Self::Broken | Self::Garbage => Retryability::IfIdempotent,
        }
    }
}
