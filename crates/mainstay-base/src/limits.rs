//! Bounds that hold everywhere unless a setting says otherwise.

use std::time::Duration;

/// Largest request or response body that Mainstay itself holds in memory (4 MiB, daprd's `--max-body-size`).
/// Bodies that are passed through are streamed and not bounded by memory.
pub const MAX_BODY_BYTES: usize = 4 * 1024 * 1024;

/// Largest request head: request line and headers together. Four times daprd's `--read-buffer-size`, because traces,
/// baggage and cookies add up over several hops.
pub const MAX_HEAD_BYTES: usize = 16 * 1024;

/// Most headers in one request.
pub const MAX_HEADERS: usize = 100;

/// How long a client may take to send a request head, or keep an idle HTTP/1 connection waiting mid-head.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Largest request body that is kept for a second attempt (Linkerd's bound).
pub const MAX_REPLAY_BYTES: usize = 64 * 1024;

/// Most connections that one listener serves at a time; further ones wait in the kernel's backlog.
pub const MAX_CONNECTIONS: usize = 65_536;
