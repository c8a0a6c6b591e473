//! `examples/microservices`.

use super::{check, example};
use crate::harness::{Client, eventually};
use crate::tools;

const PARCEL: &str = r#"{ "from": "berlin", "to": "rome", "kg": 4 }"#;

#[tokio::test]
async fn its_promises_can_hold() {
    check("microservices").await;
}

/// A client that sends JSON.
fn json(client: Client) -> Client {
    client.with("content-type", "application/json")
}

#[tokio::test]
async fn parcels_are_taken_with_and_without_a_quote() {
    let (Some(_), Some(example)) = (tools::sdks(), example("microservices", &["parcels"])) else {
        return;
    };
    let system = example.start().await;
    let front = json(system.ingress().await);

    let distance = front.post("/distance", PARCEL).await.json();
    assert_eq!(distance["km"], 1183);
    let taken = front.post("/parcels", PARCEL).await.json();
    assert_eq!(
        (&taken["quote"]["km"], &taken["quote"]["euros"]),
        (&1183.into(), &16.83.into())
    );
    let number = taken["tracking"]["number"].as_str().expect("a number").to_owned();
    assert_eq!(number.len(), 36);

    eventually("a parcel without a quote", async || {
        // Killed again and again: one replica that comes back soon enough fails nobody, and no fallback is seen.
        super::kill_all(&system, "quotes").await;
        let taken = front.post("/parcels", PARCEL).await;
        assert_eq!(taken.status, 200, "{}", taken.text());
        taken.json()["quote"]["euros"].is_null().then_some(())
    })
    .await;
}
