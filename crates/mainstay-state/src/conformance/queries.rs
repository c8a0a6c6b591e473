//! Queries.

use mainstay_base::ErrorKind;

use super::{State, Subject, lasting, read, set};
use crate::Set;
use crate::query::{Query, QueryPage};

/// Whether there is anything to test; a component that answers no queries has to say so.
async fn answers(state: &State) -> bool {
    if !state.features().query {
        let refused = state.query(&Query::default(), "").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unimplemented);
    }
    state.features().query
}

async fn run(state: &State, query: &str, prefix: &str) -> QueryPage {
    let query = Query::parse(query.as_bytes()).unwrap();
    state.query(&query, prefix).await.unwrap()
}

fn keys(page: &QueryPage) -> Vec<&str> {
    page.results.iter().map(|result| result.key.as_str()).collect()
}

pub async fn values_are_found(subject: &impl Subject) {
    let state = subject.state();
    if !answers(&state).await {
        return;
    }
    set(&state, Set::new("app||a", r#"{"city": "Seattle", "age": 30}"#)).await;
    set(&state, Set::new("app||b", r#"{"city": "Portland", "age": 40}"#)).await;
    set(&state, Set::new("app||c", r#"{"city": "Seattle", "age": 50}"#)).await;
    set(&state, Set::new("app||d", "no JSON")).await;
    let query = r#"{"filter": {"EQ": {"city": "Seattle"}}, "sort": [{"key": "age", "order": "DESC"}]}"#;
    let page = run(&state, query, "app||").await;
    assert_eq!(keys(&page), ["app||c", "app||a"]);
    assert_eq!(page.results[0].item, read(&state, "app||c").await.unwrap());
    assert_eq!(
        run(&state, r#"{"filter": {"EQ": {"city": "Rome"}}}"#, "app||").await,
        QueryPage::default()
    );
}

pub async fn pages_are_complete(subject: &impl Subject) {
    let state = subject.state();
    if !answers(&state).await {
        return;
    }
    let sets = (0..700).map(|number| Set::new(format!("app||{number:03}"), number.to_string()));
    state.bulk_set(sets.collect()).await.unwrap();
    let (mut token, mut found) = (String::new(), Vec::new());
    loop {
        let query = format!(r#"{{"page": {{"limit": 300, "token": "{token}"}}}}"#);
        let page = run(&state, &query, "app||").await;
        found.extend(page.results.into_iter().map(|result| result.key));
        match page.token {
            Some(next) => token = next,
            None => break,
        }
    }
    let expected: Vec<String> = (0..700).map(|number| format!("app||{number:03}")).collect();
    assert_eq!(found, expected);
}

pub async fn other_prefixes_are_not_found(subject: &impl Subject) {
    let state = subject.state();
    if !answers(&state).await {
        return;
    }
    for key in ["app||a", "app2||b", "ap||c", "plain"] {
        set(&state, Set::new(key, "1")).await;
    }
    assert_eq!(keys(&run(&state, "{}", "app||").await), ["app||a"]);
    assert_eq!(keys(&run(&state, "{}", "").await), ["plain"]);
}

pub async fn what_expired_is_not_found(subject: &impl Subject) {
    let state = subject.state();
    if !answers(&state).await {
        return;
    }
    set(&state, lasting("app||short", "1", 1)).await;
    set(&state, Set::new("app||ever", "2")).await;
    subject.pass_seconds(2).await;
    assert_eq!(keys(&run(&state, "{}", "app||").await), ["app||ever"]);
}
