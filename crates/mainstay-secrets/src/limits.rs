//! Bounds of every component. They are the same for all, so that secrets can move between them.

/// Longest name of a secret in bytes.
pub const MAX_SECRET_NAME_BYTES: usize = 512;

/// Most bytes of the names and values of one secret together.
pub const MAX_SECRET_BYTES: usize = 512 * 1_024;

/// Most values of one secret.
pub const MAX_VALUES: usize = 1_000;

/// Most secrets that one call reads.
pub const MAX_SECRETS: usize = 10_000;

/// Largest file of secrets in bytes.
pub const MAX_FILE_BYTES: u64 = 4 * 1_024 * 1_024;

/// Largest file of keys in bytes.
pub const MAX_KEY_FILE_BYTES: u64 = 16 * 1_024;

/// Most keys in use at a time: one that seals, and older ones.
pub const MAX_KEYS: usize = 16;

/// Longest name of a component in bytes.
pub const MAX_NAME_BYTES: usize = 128;
