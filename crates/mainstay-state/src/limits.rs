//! Bounds of every component. They are the same for all, so that data can move between them.

/// Longest key in bytes, with its prefix. The store's keys are longer by what a component puts in front.
pub const MAX_KEY_BYTES: usize = 768;

/// Largest value in bytes; what a component keeps beside it still fits the store's 1 MiB.
pub const MAX_VALUE_BYTES: usize = mainstay_store::limits::MAX_VALUE_BYTES - 1_024;

/// Longest content type in bytes.
pub const MAX_CONTENT_TYPE_BYTES: usize = 255;

/// Most operations of one transaction, and most sets or deletes of one bulk call. Each may write two keys of the store.
pub const MAX_OPERATIONS: usize = 4_096;

/// Most keys of one bulk read.
pub const MAX_BULK_KEYS: usize = 4_096;

/// Longest name of a component in bytes.
pub const MAX_NAME_BYTES: usize = 128;

/// Largest body of a query in bytes.
pub const MAX_QUERY_BYTES: usize = 64 * 1_024;

/// Most filters of a query, each value of an `IN` counted as one: they are tried on every value.
pub const MAX_FILTERS: usize = 1_024;

/// Most keys that a query sorts by.
pub const MAX_SORT_KEYS: usize = 16;

/// Most results of one page of a query.
pub const MAX_RESULTS: usize = 1_000;

/// Most values that a query looks at.
pub const MAX_SCANNED: usize = 200_000;

/// Most bytes that a query finds, before it is cut into pages.
pub const MAX_FOUND_BYTES: usize = 64 * 1_024 * 1_024;

/// Most keys of one page of a list.
pub const MAX_LISTED: usize = 1_000;

/// Most keys that are watched together: who watches remembers each.
pub const MAX_WATCHED: usize = 10_000;
