//! Which segments lead from one moment to another. Pure.

use std::fmt;

use mainstay_base::rfc3339_millis;
use mainstay_store::Version;

use crate::repository::Object;

/// The end of the name of a segment.
const SUFFIX: &str = ".segment";

/// All changes after one version up to another. Segments are ordered by their beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Segment {
    /// It begins after this version.
    pub after: Version,
    /// It ends with this one.
    pub up_to: Version,
}

impl Segment {
    /// The segment of this name.
    pub fn parse(name: &str) -> Option<Self> {
        let (after, up_to) = name.strip_suffix(SUFFIX)?.split_once('-')?;
        let number = |text: &str| {
            let plain =
                text.len() == 16 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
            let number = plain.then(|| u64::from_str_radix(text, 16).ok());
            number.flatten().map(Version::from_u64)
        };
        let (after, up_to) = (number(after)?, number(up_to)?);
        (after < up_to).then_some(Self { after, up_to })
    }
}

/// Its name: such that names are sorted as segments are.
impl fmt::Display for Segment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (after, up_to) = (self.after.as_u64(), self.up_to.as_u64());
        write!(formatter, "{after:016x}-{up_to:016x}{SUFFIX}")
    }
}

/// The segments among the objects of a repository, in order.
pub fn segments(objects: &[Object]) -> Vec<Segment> {
    let segments = objects.iter().filter_map(|object| Segment::parse(&object.name));
    let mut segments: Vec<Segment> = segments.collect();
    segments.sort_unstable();
    segments
}

/// Segments that lead on from a moment without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Chain {
    /// In order. They may overlap: of each, what was there before is left out.
    pub segments: Vec<Segment>,
    /// How far they lead.
    pub reaches: Version,
}

/// Changes are missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "changes after {} are missing: the archive goes on only after {}. Restore up to the first moment with --until, or from \
     a backup that was made after the second",
    rfc3339_millis(reached.unix_ms()),
    rfc3339_millis(resumes.unix_ms())
)]
pub struct Broken {
    /// So far there is no gap.
    pub reached: Version,
    /// Here the archive goes on.
    pub resumes: Version,
}

/// The segments that lead from `from` to `to`, or as far as there are any. `sorted` are all there are, in order.
///
/// Without a gap before `to`, whether the last one reaches it or not: when nothing is changed, nothing is archived.
pub fn chain(sorted: &[Segment], from: Version, to: Version) -> Result<Chain, Broken> {
    let mut chain = Chain {
        segments: Vec::new(),
        reaches: from,
    };
    let mut rest = sorted.iter().copied().peekable();
    while chain.reaches < to {
        // Of those that begin soon enough, the one that leads furthest.
        let mut furthest: Option<Segment> = None;
        while let Some(next) = rest.next_if(|next| next.after <= chain.reaches) {
            if furthest.is_none_or(|known| known.up_to < next.up_to) {
                furthest = Some(next);
            }
        }
        match (furthest.filter(|found| found.up_to > chain.reaches), rest.peek()) {
            (Some(found), _) => {
                chain.reaches = found.up_to;
                chain.segments.push(found);
            }
            (None, Some(next)) => {
                return Err(Broken {
                    reached: chain.reaches,
                    resumes: next.after,
                });
            }
            (None, None) => break,
        }
    }
    Ok(chain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment(after: u64, up_to: u64) -> Segment {
        Segment {
            after: Version::from_u64(after),
            up_to: Version::from_u64(up_to),
        }
    }

    fn all(pairs: &[(u64, u64)]) -> Vec<Segment> {
        let mut all: Vec<_> = pairs
            .iter()
            .map(|(after, up_to)| segment(*after, *up_to))
            .collect();
        all.sort_unstable();
        all
    }

    fn lead(pairs: &[(u64, u64)], from: u64, to: u64) -> Result<(Vec<Segment>, u64), (u64, u64)> {
        let found = chain(&all(pairs), Version::from_u64(from), Version::from_u64(to));
        found
            .map(|chain| (chain.segments, chain.reaches.as_u64()))
            .map_err(|broken| (broken.reached.as_u64(), broken.resumes.as_u64()))
    }

    #[test]
    fn names_tell_the_segment_and_sort_like_it() {
        let one = segment(0x1234, u64::MAX >> 1);
        assert_eq!(one.to_string(), "0000000000001234-7fffffffffffffff.segment");
        assert_eq!(Segment::parse(&one.to_string()), Some(one));
        for other in [
            "shop.backup",
            "0000000000001234.segment",
            "0000000000001234-0000000000001234.segment",
            "0000000000001235-0000000000001234.segment",
            "0000000000001234-7FFFFFFFFFFFFFFF.segment",
            "+000000000001234-7fffffffffffffff.segment",
        ] {
            assert_eq!(Segment::parse(other), None, "{other}");
        }
    }

    #[test]
    fn a_chain_leads_as_far_as_it_can() {
        let pairs = [(80, 130), (130, 131), (131, 200), (200, 210)];
        assert_eq!(lead(&pairs, 100, 205), Ok((all(&pairs), 210)));
        assert_eq!(lead(&pairs, 100, 120), Ok((all(&pairs[..1]), 130)));
        assert_eq!(lead(&pairs, 100, 100), Ok((vec![], 100)));
        assert_eq!(lead(&pairs, 131, 900), Ok((all(&pairs[2..]), 210)));
        assert_eq!(lead(&pairs, 300, 900), Ok((vec![], 300)));
        assert_eq!(lead(&[], 1, 900), Ok((vec![], 1)));
    }

    #[test]
    fn a_gap_is_told_with_both_ends() {
        let pairs = [(80, 130), (140, 200)];
        assert_eq!(lead(&pairs, 100, 900), Err((130, 140)));
        assert_eq!(lead(&pairs, 50, 60), Err((50, 80)));
        assert_eq!(lead(&pairs, 100, 130), Ok((all(&pairs[..1]), 130)));
    }

    #[test]
    fn segments_that_were_written_twice_overlap() {
        let pairs = [(80, 130), (80, 150), (130, 140), (150, 160)];
        let expected = Ok((all(&[(80, 150), (150, 160)]), 160));
        assert_eq!(lead(&pairs, 100, 900), expected);
    }

    proptest! {
        #[test]
        fn a_chain_covers_every_version_and_finds_every_gap(
            pairs in proptest::collection::vec((0_u64..60, 1_u64..12), 0..20),
            from in 0_u64..60,
            to in 0_u64..80,
        ) {
            let pairs: Vec<_> = pairs.iter().map(|(after, length)| (*after, after + length)).collect();
            let covered = |version: u64| pairs.iter().any(|(after, up_to)| *after < version && version <= *up_to);
            let last = pairs.iter().map(|(_, up_to)| *up_to).max().unwrap_or(0);
            match lead(&pairs, from, to) {
                Ok((segments, reaches)) => {
                    prop_assert!((from + 1..=reaches).all(covered));
                    prop_assert!(reaches >= to || reaches == from.max(last), "{reaches} {last}");
                    prop_assert!(segments.is_sorted());
                }
                Err((reached, resumes)) => {
                    prop_assert!(reached < to && !covered(reached + 1));
                    prop_assert!((from + 1..=reached).all(covered));
                    prop_assert!((reached + 1..=resumes).all(|version| !covered(version)) && covered(resumes + 1));
                }
            }
        }
    }
}
