//! Pages of ranges.

use super::{Subject, commit, key, names, scan, value};
use crate::batch::Batch;
use crate::key::{KeyRange, Value};
use crate::limits::{MAX_PAGE_BYTES, MAX_PAGE_ENTRIES, MAX_VALUE_BYTES};
use crate::port::Scan;

pub async fn ranges_have_an_end(subject: &mut impl Subject) {
    let store = subject.store();
    let mut batch = Batch::new();
    for name in ["a", "b", "b/1", "b/2", "b0", "c"] {
        batch.put(key(name), value("v"));
    }
    commit(&store, batch).await;
    let found = [
        (KeyRange::all(), "a b b/1 b/2 b0 c"),
        (KeyRange::prefix("b"), "b b/1 b/2 b0"),
        (KeyRange::prefix("b/"), "b/1 b/2"),
        (KeyRange::between("b", "b0"), "b b/1 b/2"),
        (KeyRange::between("bb", "z"), "c"),
        (KeyRange::between("c", "b"), ""),
        (KeyRange::between("b", "b"), ""),
        (KeyRange::between("", "b"), "a"),
        (KeyRange::prefix("d"), ""),
    ];
    for (range, expected) in found {
        let forward = scan(&store, Scan::new(range.clone())).await;
        assert_eq!(names(&forward).join(" "), expected, "{range:?}");
        assert_eq!(forward.covered, range);
        assert_eq!(forward.rest, None);
        let backward = scan(&store, Scan::new(range.clone()).backward()).await;
        let mut names = names(&backward);
        names.reverse();
        assert_eq!(names.join(" "), expected, "{range:?} backward");
    }
}

pub async fn pages_follow_each_other(subject: &mut impl Subject) {
    let store = subject.store();
    let total = MAX_PAGE_ENTRIES + 3;
    for chunk in 0..=total / 5_000 {
        let mut batch = Batch::new();
        for index in (chunk * 5_000)..((chunk + 1) * 5_000).min(total) {
            batch.put(key(format!("{index:06}")), value("v"));
        }
        commit(&store, batch).await;
    }
    let most = scan(&store, Scan::new(KeyRange::all()).limit(usize::MAX)).await;
    assert_eq!(most.entries.len(), MAX_PAGE_ENTRIES);

    for backward in [false, true] {
        let mut rest = Some(KeyRange::all());
        let mut seen = Vec::new();
        while let Some(range) = rest {
            let mut next = Scan::new(range).limit(4_321);
            if backward {
                next = next.backward();
            }
            let page = scan(&store, next).await;
            seen.extend(names(&page));
            rest = page.rest;
        }
        if backward {
            seen.reverse();
        }
        let expected: Vec<_> = (0..total).map(|index| format!("{index:06}")).collect();
        assert_eq!(seen, expected, "backward: {backward}");
    }
    let one = scan(&store, Scan::new(KeyRange::all()).limit(0)).await;
    assert_eq!(one.entries.len(), 1, "a page holds one entry at least");
}

pub async fn pages_are_bounded_by_bytes(subject: &mut impl Subject) {
    let store = subject.store();
    let large = Value::new(vec![b'x'; MAX_VALUE_BYTES]).unwrap();
    for index in 0..12 {
        let mut batch = Batch::new();
        batch.put(key(format!("{index:02}")), large.clone());
        commit(&store, batch).await;
    }
    let page = scan(&store, Scan::new(KeyRange::all())).await;
    assert!(page.entries.len() <= MAX_PAGE_BYTES / MAX_VALUE_BYTES + 1);
    let rest = scan(&store, Scan::new(page.rest.clone().unwrap())).await;
    assert_eq!(page.entries.len() + rest.entries.len(), 12);
}
