//! Which segments are too old to be kept. Pure.

use std::time::Duration;

use mainstay_store::Version;

use super::chain::Segment;

/// Segments all of whose changes are older than `keep`. The last one stays: it tells where the archive ended.
pub(super) fn expired(sorted: &[Segment], now_unix_ms: u64, keep: Duration) -> Vec<Segment> {
    let keep_ms = u64::try_from(keep.as_millis()).unwrap_or(u64::MAX);
    let oldest = Version::at_unix_ms(now_unix_ms.saturating_sub(keep_ms));
    let last = sorted.iter().map(|segment| segment.up_to).max();
    let gone = sorted.iter();
    let gone = gone.filter(|segment| segment.up_to < oldest && Some(segment.up_to) != last);
    gone.copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_segments_go_and_the_last_one_stays() {
        let segment = |after_ms: u64, up_to_ms: u64| Segment {
            after: Version::at_unix_ms(after_ms),
            up_to: Version::at_unix_ms(up_to_ms),
        };
        let all = [
            segment(1_000, 2_000),
            segment(2_000, 3_000),
            segment(3_000, 4_000),
        ];
        let expired = |now_ms| expired(&all, now_ms, Duration::from_secs(1));
        assert_eq!(expired(3_000), []);
        assert_eq!(expired(3_001), all[..1]);
        assert_eq!(expired(4_001), all[..2]);
        assert_eq!(expired(900_000), all[..2]);
    }
}
