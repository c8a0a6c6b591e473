//! Bounds of every component. They are the same for all, so that settings can move between them.

/// Longest key in bytes.
pub const MAX_KEY_BYTES: usize = 512;

/// Largest value in bytes.
pub const MAX_VALUE_BYTES: usize = 64 * 1_024;

/// Most bytes of the names and values of an item's metadata together.
pub const MAX_METADATA_BYTES: usize = 8 * 1_024;

/// Most keys that one call or one subscription names.
pub const MAX_KEYS: usize = 1_000;

/// Most items of a component: all of them are read when no key is named.
pub const MAX_ITEMS: usize = 10_000;

/// Most changes that are made together.
pub const MAX_CHANGES: usize = 100;

/// Most changes of a key that are remembered.
pub const MAX_HISTORY: usize = 32;

/// Longest name of who makes a change, in bytes.
pub const MAX_AUTHOR_BYTES: usize = 128;

/// Longest name of a component in bytes.
pub const MAX_NAME_BYTES: usize = 128;
