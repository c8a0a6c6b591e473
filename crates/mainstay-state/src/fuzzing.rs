//! What the fuzz targets in `fuzz/` call: private parsers together with what must hold for every input.

#![expect(clippy::expect_used, reason = "a broken promise has to end the run")]

use bytes::Bytes;

use crate::limits::MAX_RESULTS;
use crate::port::{Etag, Item, Set};
use crate::query::{Query, QueryPage, Selection};
use crate::stored::layout;

/// Runs a query, which is the first line, on values, which are the other lines.
///
/// # Panics
/// When something does not hold that must.
pub fn query(input: &[u8]) {
    let mut lines = input.split(|byte| *byte == b'\n');
    let Ok(query) = Query::parse(lines.next().unwrap_or_default()) else {
        return;
    };
    assert!((1..=MAX_RESULTS).contains(&query.page.limit));
    let values: Vec<(String, &[u8])> = lines
        .enumerate()
        .map(|(number, value)| (format!("app||{number:04}"), value))
        .collect();
    let page = select(&query, values.iter());
    let page_of_reverse = select(&query, values.iter().rev());
    assert_eq!(page, page_of_reverse, "the order is not total");
    assert!(page.results.len() <= query.page.limit);
    assert!(page.token.is_none() || page.results.len() == query.page.limit);
    for result in &page.results {
        let value = serde_json::from_slice(&result.item.value).expect("only JSON is found");
        assert!(query.filter.as_ref().is_none_or(|filter| filter.matches(&value)));
    }
}

fn select<'a>(query: &Query, values: impl Iterator<Item = &'a (String, &'a [u8])>) -> QueryPage {
    let mut selection = Selection::new(query, "app||");
    for (key, value) in values {
        let item = Item {
            value: Bytes::copy_from_slice(value),
            etag: Etag::given("1".to_owned()),
            content_type: None,
            expires_at_ms: None,
        };
        selection.offer(key, item).expect("an input is small");
    }
    selection.finish()
}

/// Reads what the store holds under the key of a record.
///
/// # Panics
/// When it is read, and writing the same makes other bytes.
pub fn record(input: &[u8]) {
    let etag = Etag::given("1".to_owned());
    let Some(item) = layout::parse(Bytes::copy_from_slice(input), etag) else {
        return;
    };
    let mut set = Set::new("k", item.value);
    set.content_type = item.content_type;
    let again = layout::encode(&set, item.expires_at_ms).expect("it was written once");
    assert_eq!(again.into_bytes(), input);
}

#[cfg(test)]
mod tests {
    fn each_seed(target: &str, hold: fn(&[u8])) {
        let folder = format!("{}/../../fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
        let seeds: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
        assert!(!seeds.is_empty());
        for seed in seeds {
            hold(&std::fs::read(seed.unwrap().path()).unwrap());
        }
    }

    #[test]
    fn the_seeds_of_the_query_target_hold() {
        each_seed("query", super::query);
    }

    #[test]
    fn the_seeds_of_the_record_target_hold() {
        each_seed("record", super::record);
    }
}
