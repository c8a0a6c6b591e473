//! Bounds of the port. They are the same for every adapter, so that data can move between them.

/// Longest key.
pub const MAX_KEY_BYTES: usize = 1_024;

/// Longest value.
pub const MAX_VALUE_BYTES: usize = 1_024 * 1_024;

/// What the store adds to the prefix of an append: the version and the position in the batch.
pub const APPEND_SUFFIX_BYTES: usize = 10;

/// Most puts, deletes and appends of one batch together.
pub const MAX_BATCH_WRITES: usize = 10_000;

/// Most conditions of one batch.
pub const MAX_BATCH_CONDITIONS: usize = 10_000;

/// Most bytes of keys and values that one batch writes.
pub const MAX_BATCH_BYTES: usize = 8 * 1_024 * 1_024;

/// Longest idempotency token.
pub const MAX_TOKEN_BYTES: usize = 64;

/// Most keys of one read.
pub const MAX_READ_KEYS: usize = 10_000;

/// Most entries of one page of a scan.
pub const MAX_PAGE_ENTRIES: usize = 10_000;

/// Most bytes of keys and values in one page of a scan; one entry more than that may be in it.
pub const MAX_PAGE_BYTES: usize = 8 * 1_024 * 1_024;
