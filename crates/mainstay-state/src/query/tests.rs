use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::port::{Etag, Item};

fn parse(query: &Value) -> Result<Query, QueryError> {
    Query::parse(query.to_string().as_bytes())
}

fn item(value: &Value) -> Item {
    Item {
        value: value.to_string().into(),
        etag: Etag::numbered(1),
        content_type: None,
        expires_at_ms: None,
    }
}

fn run(query: &Query) -> QueryPage {
    let people = [
        json!({"person": {"org": "Dev Ops", "id": 1036}, "city": "Seattle", "state": "WA", "tags": ["a", "b"]}),
        json!({"person": {"org": "Hardware", "id": 1028}, "city": "Portland", "state": "OR"}),
        json!({"person": {"org": "Finance", "id": 1071.5}, "city": "Sacramento", "state": "CA"}),
        json!({"person": {"org": "Dev Ops", "id": 1042}, "city": "Spokane", "state": "WA", "left": null}),
        json!({"person": {"org": "Hardware", "id": 1007}, "city": "Los Angeles", "state": "CA"}),
    ];
    let mut selection = Selection::new(query, "app||");
    for (number, person) in people.iter().enumerate().rev() {
        selection
            .offer(&format!("app||{}", number + 1), item(person))
            .unwrap();
    }
    let mut text = item(&Value::Null);
    text.value = "not JSON".into();
    selection.offer("app||6", text).unwrap();
    selection.offer("other||1", item(&people[0])).unwrap();
    selection.finish()
}

fn keys(page: &QueryPage) -> String {
    let keys = page
        .results
        .iter()
        .map(|result| result.key.trim_start_matches("app||"));
    keys.collect()
}

fn check(query: &Value, expected: &str) {
    assert_eq!(keys(&run(&parse(query).unwrap())), expected, "{query}");
}

#[test]
fn filters_choose() {
    for (filter, expected) in [
        (json!({}), "12345"),
        (json!({"EQ": {"state": "CA"}}), "35"),
        (json!({"EQ": {"person.org": "Dev Ops"}}), "14"),
        (json!({"EQ": {"person.id": 1036.0}}), "1"),
        (json!({"EQ": {"person": {"id": 1036, "org": "Dev Ops"}}}), "1"),
        (json!({"EQ": {"tags.1": "b"}}), "1"),
        (json!({"EQ": {"left": null}}), "4"),
        (json!({"NEQ": {"state": "CA"}}), "124"),
        (json!({"NEQ": {"tags": "x"}}), "12345"),
        (json!({"GT": {"person.id": 1036}}), "34"),
        (json!({"GTE": {"person.id": 1036}}), "134"),
        (json!({"LT": {"person.id": 1028}}), "5"),
        (json!({"LTE": {"person.id": 1028}}), "25"),
        (json!({"GT": {"city": "Seattle"}}), "4"),
        (json!({"GT": {"city": 1}}), ""),
        (json!({"LT": {"nothing": 1}}), ""),
        (json!({"IN": {"state": ["CA", "OR"]}}), "235"),
        (json!({"IN": {"state": []}}), ""),
        (
            json!({"AND": [{"EQ": {"state": "CA"}}, {"LT": {"person.id": 1050}}]}),
            "5",
        ),
        (
            json!({"OR": [{"EQ": {"state": "OR"}}, {"AND": [{"EQ": {"state": "WA"}}, {"EQ": {"city": "Spokane"}}]}]}),
            "24",
        ),
    ] {
        check(&json!({"filter": filter}), expected);
    }
    check(&json!({}), "12345");
}

#[test]
fn results_are_sorted() {
    for (sort, expected) in [
        (json!([{"key": "state"}]), "35214"),
        (json!([{"key": "state", "order": "DESC"}]), "14235"),
        (
            json!([{"key": "state", "order": "DESC"}, {"key": "person.id"}]),
            "14253",
        ),
        (json!([{"key": "person.id", "order": "asc"}]), "52143"),
        (json!([{"key": "left"}]), "12354"),
        (json!([{"key": "tags", "order": "DESC"}]), "12345"),
        (json!([]), "12345"),
    ] {
        check(&json!({"sort": sort}), expected);
    }
}

#[test]
fn pages_follow_each_other() {
    let mut token = String::new();
    let mut all = Vec::new();
    loop {
        let query = json!({"sort": [{"key": "person.id"}], "page": {"limit": 2, "token": token}});
        let page = run(&parse(&query).unwrap());
        all.push(keys(&page));
        match page.token {
            Some(next) => token = next,
            None => break,
        }
    }
    assert_eq!(all, ["52", "14", "3"]);
    let exact = run(&parse(&json!({"page": {"limit": 5}})).unwrap());
    assert_eq!(exact.token, None);
    let behind = run(&parse(&json!({"page": {"token": "99"}})).unwrap());
    assert_eq!(behind, QueryPage::default());
}

#[test]
fn mistakes_are_named() {
    for (query, message) in [
        (json!([]), "failed to parse JSON query body: it must be an object"),
        (
            json!({"filters": {}}),
            "unknown part \"filters\" of the query: there are \"filter\", \"sort\" and \"page\"",
        ),
        (
            json!({"filter": {"LIKE": {"city": "S%"}}}),
            "unsupported filter \"LIKE\": there are EQ, NEQ, GT, GTE, LT, LTE, IN, AND and OR",
        ),
        (json!({"filter": []}), "filter unit must be a map"),
        (
            json!({"filter": {"EQ": {"a": 1}, "IN": {}}}),
            "filter unit must have a single element",
        ),
        (json!({"filter": {"EQ": 1}}), "EQ filter must be a map"),
        (
            json!({"filter": {"GT": {}}}),
            "GT filter must contain a single key/value pair",
        ),
        (
            json!({"filter": {"GT": {"a": true}}}),
            "GT filter value must be a number or a text",
        ),
        (
            json!({"filter": {"IN": {"a": 1}}}),
            "IN filter value must be an array",
        ),
        (json!({"filter": {"AND": {}}}), "AND filter must be an array"),
        (
            json!({"filter": {"OR": [{"EQ": {"a": 1}}]}}),
            "OR filter must contain at least two entries",
        ),
        (
            json!({"filter": {"OR": [{}, {}]}}),
            "filter unit must have a single element",
        ),
        (json!({"sort": {}}), "\"sort\" must be an array"),
        (
            json!({"sort": [{"order": "ASC"}]}),
            "an entry of \"sort\" must have a \"key\", which is a path into the value",
        ),
        (
            json!({"sort": [{"key": "a", "order": "UP"}]}),
            "the \"order\" of a sort key must be \"ASC\" or \"DESC\"",
        ),
        (json!({"page": 1}), "\"page\" must be a map"),
        (
            json!({"page": {"limit": -1}}),
            "the \"limit\" of \"page\" must be a number from 0 on",
        ),
        (
            json!({"page": {"token": "x"}}),
            "the \"token\" of \"page\" must be one that a query gave",
        ),
    ] {
        assert_eq!(parse(&query).unwrap_err().to_string(), message, "{query}");
    }
    assert!(matches!(Query::parse(b"{"), Err(QueryError::Json(_))));
}

#[test]
fn queries_are_bounded() {
    let many = json!({"filter": {"IN": {"a": vec![1; MAX_FILTERS]}}});
    assert_eq!(parse(&many), Err(too_long("filters and values", MAX_FILTERS)));
    let keys = json!({"sort": vec![json!({"key": "a"}); MAX_SORT_KEYS + 1]});
    assert_eq!(parse(&keys), Err(too_long("sort keys", MAX_SORT_KEYS)));
    assert!(Query::parse(&vec![b' '; MAX_QUERY_BYTES + 1]).is_err());
    let deep = format!("{}{}", "{\"filter\":".repeat(500), "}".repeat(500));
    assert!(matches!(Query::parse(deep.as_bytes()), Err(QueryError::Json(_))));
    let unlimited = parse(&json!({"page": {"limit": 1_000_000_000}})).unwrap();
    assert_eq!(unlimited.page.limit, MAX_RESULTS);

    let query = Query::default();
    let mut selection = Selection::new(&query, "");
    let large = item(&json!("x".repeat(1_000_000)));
    let outcome = (0..1_000).try_for_each(|number| selection.offer(&number.to_string(), large.clone()));
    assert!(matches!(outcome, Err(QueryError::TooBroad(_))));
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = Query::parse(&body);
    }

    /// The order of sorting is one: whatever comes in whatever order, the same comes out.
    #[test]
    fn sorting_does_not_depend_on_the_order_before(mut values in proptest::collection::vec(any_json(), 0..12)) {
        let sort = |values: &[(usize, Value)]| {
            let query = parse(&json!({"sort": [{"key": "v"}]})).unwrap();
            let mut selection = Selection::new(&query, "");
            for (number, value) in values {
                selection.offer(&format!("{number:03}"), item(&json!({"v": value}))).unwrap();
            }
            keys(&selection.finish())
        };
        let mut numbered: Vec<_> = values.drain(..).enumerate().collect();
        let forward = sort(&numbered);
        numbered.reverse();
        prop_assert_eq!(forward, sort(&numbered));
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(Value::from),
        "[a-c]{0,2}".prop_map(Value::from),
        Just(json!([1])),
    ]
}
