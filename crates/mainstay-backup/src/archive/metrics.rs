//! How the archive fares.

use std::sync::atomic::{AtomicU64, Ordering};

use mainstay_base::metric::{Collect, Counter, Descriptor, Kind, Visitor};
use mainstay_store::{SystemWallClock, Version, WallClock as _};

const fn descriptor(name: &'static str, help: &'static str, kind: Kind) -> Descriptor {
    Descriptor {
        name,
        help,
        kind,
        labels: &[],
    }
}

static LAST: Descriptor = descriptor(
    "mainstay_archive_archived_until_seconds",
    "The moment up to which changes of the store are archived, in seconds since 1970.",
    Kind::Gauge,
);
static LAG: Descriptor = descriptor(
    "mainstay_archive_lag_seconds",
    "How long the oldest change has been waiting to be archived; 0 when there is none.",
    Kind::Gauge,
);
static KEPT: Descriptor = descriptor(
    "mainstay_archive_kept_bytes",
    "What the store keeps until it is archived, when it was last looked at.",
    Kind::Gauge,
);
static SEGMENTS: Descriptor = descriptor(
    "mainstay_archive_segments_total",
    "Segments that were archived.",
    Kind::Counter,
);
static BYTES: Descriptor = descriptor(
    "mainstay_archive_bytes_total",
    "Bytes of segments that were archived.",
    Kind::Counter,
);
static FAILURES: Descriptor = descriptor(
    "mainstay_archive_failures_total",
    "Attempts to archive that failed.",
    Kind::Counter,
);
static GAPS: Descriptor = descriptor(
    "mainstay_archive_gaps_total",
    "How often changes were missed. Later moments can only be restored from a later backup.",
    Kind::Counter,
);

/// Every metric of the archive.
pub static ARCHIVE_METRIC_TABLE: [&Descriptor; 7] = [&LAST, &LAG, &KEPT, &SEGMENTS, &BYTES, &FAILURES, &GAPS];

/// How the archive fares.
#[derive(Debug, Default)]
pub struct ArchiveMetrics {
    last: AtomicU64,
    /// The oldest change that waits, in milliseconds since 1970; 0 when there is none.
    waiting_since_unix_ms: AtomicU64,
    kept_bytes: AtomicU64,
    pub(super) segments: Counter,
    pub(super) bytes: Counter,
    pub(super) failures: Counter,
    pub(super) gaps: Counter,
}

impl ArchiveMetrics {
    /// Everything up to `version` is archived.
    pub(super) fn reached(&self, version: Version) {
        self.last.store(version.as_u64(), Ordering::Relaxed);
    }

    /// The oldest change that is not archived, and what is kept because of it.
    pub(super) fn waiting(&self, since: Version, kept_bytes: u64) {
        self.waiting_since_unix_ms
            .store(since.unix_ms(), Ordering::Relaxed);
        self.kept_bytes.store(kept_bytes, Ordering::Relaxed);
    }

    /// Up to where changes are archived.
    pub fn last(&self) -> Version {
        Version::from_u64(self.last.load(Ordering::Relaxed))
    }
}

impl Collect for ArchiveMetrics {
    fn descriptors(&self) -> &'static [&'static Descriptor] {
        &ARCHIVE_METRIC_TABLE
    }

    fn collect(&self, visitor: &mut dyn Visitor) {
        let since_ms = self.waiting_since_unix_ms.load(Ordering::Relaxed);
        let lag_ms = match since_ms {
            0 => 0,
            since_ms => SystemWallClock.unix_ms().saturating_sub(since_ms),
        };
        visitor.value(&LAST, &[], self.last().unix_ms() as f64 / 1e3);
        visitor.value(&LAG, &[], lag_ms as f64 / 1e3);
        visitor.value(&KEPT, &[], self.kept_bytes.load(Ordering::Relaxed) as f64);
        visitor.value(&SEGMENTS, &[], self.segments.get() as f64);
        visitor.value(&BYTES, &[], self.bytes.get() as f64);
        visitor.value(&FAILURES, &[], self.failures.get() as f64);
        visitor.value(&GAPS, &[], self.gaps.get() as f64);
    }
}
