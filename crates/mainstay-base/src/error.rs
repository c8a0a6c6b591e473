//! How errors are judged across crates: what happened, whose fault it is, whether to try again.

/// What happened, in the terms of the gRPC status codes. Only `mainstay-api` turns a kind into a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// The request itself is wrong.
    InvalidArgument,
    /// What was asked for does not exist.
    NotFound,
    /// The caller is known and may not do this.
    PermissionDenied,
    /// The caller is not known.
    Unauthenticated,
    /// A precondition in the state of the system does not hold.
    FailedPrecondition,
    /// The request or the answer is larger than its limit.
    TooLarge,
    /// The deadline passed.
    DeadlineExceeded,
    /// The caller went away.
    Cancelled,
    /// Refused to protect the callee; come back later.
    Overloaded,
    /// The callee could not be reached or broke off.
    Unavailable,
    /// The operation is not offered.
    Unimplemented,
    /// A defect of Mainstay.
    Internal,
}

/// Whose fault it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The one who asked.
    Caller,
    /// The one who was asked.
    Callee,
    /// Mainstay itself.
    Runtime,
}

/// Whether the same call may be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Retryability {
    /// It would fail again, or the callee asked not to.
    Never,
    /// The callee has not seen the call: always safe.
    Always,
    /// The callee may have acted on it: only when doing it twice is as good as once.
    IfIdempotent,
}
