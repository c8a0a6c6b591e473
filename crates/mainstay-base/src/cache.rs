//! Where an answer came from that a cache had a part in.

/// Where an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheStatus {
    /// From the cache.
    Hit,
    /// From the cache, and it is being loaded anew in the background since this look.
    Refresh,
    /// From the cache although it has expired, because it could not be loaded.
    Stale,
    /// Loaded, by this caller or by one who asked at the same time.
    Miss,
}

impl CacheStatus {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Hit, Self::Refresh, Self::Stale, Self::Miss];

    /// The word in metrics and in what clients are told.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Refresh => "refresh",
            Self::Stale => "stale",
            Self::Miss => "miss",
        }
    }
}
