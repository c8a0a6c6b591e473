//! Filling a page of a scan: the one rule for where it ends, whatever the engine.

use crate::key::just_after;
use crate::limits::{MAX_PAGE_BYTES, MAX_PAGE_ENTRIES};
use crate::port::{Direction, Entry, Page, Scan};
use crate::version::Version;

/// Takes entries, in the order of the scan, until the page is full.
pub(crate) fn fill<E>(
    scan: &Scan,
    at: Version,
    entries: impl IntoIterator<Item = Result<Entry, E>>,
) -> Result<Page, E> {
    let limit = scan.limit.clamp(1, MAX_PAGE_ENTRIES);
    let mut taken = Vec::new();
    let mut bytes = 0;
    let mut entries = entries.into_iter();
    while taken.len() < limit && bytes < MAX_PAGE_BYTES {
        let Some(entry) = entries.next() else {
            return Ok(Page {
                at,
                entries: taken,
                covered: scan.range.clone(),
                rest: None,
            });
        };
        let entry = entry?;
        bytes += entry.key.as_ref().len() + entry.value.as_ref().len();
        taken.push(entry);
    }
    let (covered, rest) = match taken.last() {
        Some(last) => split(scan, last),
        None => (scan.range.clone(), None),
    };
    Ok(Page {
        at,
        entries: taken,
        covered,
        rest,
    })
}

/// The range up to and with `last`, and what is behind it.
fn split(scan: &Scan, last: &Entry) -> (crate::KeyRange, Option<crate::KeyRange>) {
    let mut covered = scan.range.clone();
    let rest = match scan.direction {
        Direction::Forward => {
            covered.end = Some(just_after(last.key.as_ref()));
            scan.range.after(&last.key)
        }
        Direction::Backward => {
            covered.start = last.key.as_bytes().clone();
            scan.range.before(&last.key)
        }
    };
    (covered, (!rest.is_empty()).then_some(rest))
}
