//! Bounds of every component. They are the same for all.

/// Longest name of a resource in bytes, with its prefix.
pub const MAX_RESOURCE_BYTES: usize = 768;

/// Longest name of an owner in bytes.
pub const MAX_OWNER_BYTES: usize = 256;

/// Longest time in seconds that a lock may last without being renewed: 30 days.
pub const MAX_EXPIRY_SECONDS: u32 = 30 * 24 * 60 * 60;

/// Longest name of a component in bytes.
pub const MAX_NAME_BYTES: usize = 128;
