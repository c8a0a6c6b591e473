//! `mainstay cache`.

use serde_json::{Value, json};

use crate::harness::System;

const MANIFEST: &str = "
components: { statestore: { cache: { ttl: 1h } } }
apps:
  front: { command: testapp, ingress: {}, calls: { back: { cache: { ttl: 1h, stale: 2h } } } }
  back: { command: testapp }
";

async fn list(system: &System) -> Value {
    let text = system.succeeds(&["cache", "list", "--json"]).await;
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

#[tokio::test]
async fn caches_are_listed_with_what_they_have_done() {
    let system = System::start(MANIFEST).await;
    let api = system.api("front").await;
    let path = "/v1.0/invoke/back/method/items";
    for _ in 0..4 {
        api.get(path).await;
    }
    let caches = list(&system).await["caches"].clone();
    let named = |name: &str| {
        let caches = caches.as_array().expect("a list");
        let found = caches.iter().find(|cache| cache["name"] == name);
        found.unwrap_or_else(|| panic!("no {name} in {caches:?}")).clone()
    };
    let calls = named("front->back");
    assert_eq!(
        (&calls["kind"], &calls["ttl_ms"]),
        (&json!("calls"), &json!(3_600_000))
    );
    assert_eq!((&calls["hits"], &calls["misses"]), (&json!(3), &json!(1)));
    assert_eq!(
        (&calls["hit_ratio"], &calls["entries"]),
        (&json!(0.75), &json!(1))
    );
    let state = named("statestore");
    assert_eq!(
        (&state["kind"], &state["hit_ratio"]),
        (&json!("state"), &Value::Null)
    );
    let table = system.succeeds(&["cache", "list"]).await;
    assert!(
        table.contains("front->back") && table.contains("75.0%"),
        "{table}"
    );
}

#[tokio::test]
async fn what_is_named_is_forgotten_and_nothing_else() {
    let system = System::start(MANIFEST).await;
    let api = system.api("front").await;
    let mark = async |path: &str| api.get(path).await.header("mainstay-cache").to_owned();
    let (items, other) = (
        "/v1.0/invoke/back/method/items?page=1",
        "/v1.0/invoke/back/method/other",
    );
    let fill = async || {
        for path in [items, other] {
            mark(path).await;
            assert_eq!(mark(path).await, "hit");
        }
    };
    fill().await;
    let told = system
        .succeeds(&["cache", "invalidate", "front->back", "/items"])
        .await;
    assert_eq!(told, "front->back: forgot /items\n");
    assert_eq!(
        (mark(items).await, mark(other).await),
        ("miss".into(), "hit".into())
    );
    system
        .succeeds(&["cache", "invalidate", "front->back", "/oth", "--prefix"])
        .await;
    assert_eq!(
        (mark(items).await, mark(other).await),
        ("hit".into(), "miss".into())
    );
    system.succeeds(&["cache", "invalidate", "front->back"]).await;
    assert_eq!(
        (mark(items).await, mark(other).await),
        ("miss".into(), "miss".into())
    );

    let (a, b) = ("/v1.0/state/statestore/a", "/v1.0/state/statestore/b");
    for key in [a, b, a, b] {
        mark(key).await;
    }
    let told = system
        .succeeds(&["cache", "invalidate", "statestore", "front||a", "--json"])
        .await;
    let told: Value = serde_json::from_str(&told).expect("JSON");
    assert_eq!(
        told,
        json!({"cache": "statestore", "key": "front||a", "state": "invalidated"})
    );
    assert_eq!((mark(a).await, mark(b).await), ("miss".into(), "hit".into()));
    system
        .succeeds(&["cache", "invalidate", "statestore", "b", "--app", "front"])
        .await;
    assert_eq!((mark(a).await, mark(b).await), ("hit".into(), "miss".into()));
    system
        .succeeds(&["cache", "invalidate", "statestore", "--app", "front"])
        .await;
    assert_eq!((mark(a).await, mark(b).await), ("miss".into(), "miss".into()));
}

#[tokio::test]
async fn mistakes_are_told() {
    let system = System::start(MANIFEST).await;
    for (arguments, told) in [
        (
            &["cache", "invalidate", "front->bak"][..],
            "did you mean `front->back`?",
        ),
        (&["cache", "invalidate", "front->back", "items"], "is not a path"),
        (
            &["cache", "invalidate", "front->back", "/x", "--app", "front"],
            "`app` is no parameter here",
        ),
        (
            &["cache", "invalidate", "statestore", "k", "--app", "frond"],
            "did you mean `front`?",
        ),
        (&["cache", "invalidate", "statestore", "--prefix"], "KEY"),
    ] {
        let output = system.mainstay(arguments).await;
        assert_eq!(output.code, 2, "{output:?}");
        assert!(output.stderr.contains(told), "{output:?}");
    }
}
