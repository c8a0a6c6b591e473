//! `GET /api/backup`.

use std::sync::Arc;

use http::Method;
use http_body_util::BodyExt as _;
use mainstay_backup::format::Record;
use mainstay_backup::{Exports, Incoming};
use mainstay_mesh::client;
use mainstay_store::simulated::Simulated;
use mainstay_store::{Batch, Key, Replicated, Store as _, Value};

use crate::control::Control;
use crate::support::request;

/// A store of some megabytes, which do not leave in one piece.
async fn exports() -> Exports {
    let store = Arc::new(Simulated::new());
    for number in 0..40 {
        let mut batch = Batch::new();
        let value = Value::new(vec![number; 500_000]).expect("a value");
        batch.put(Key::new(vec![number]).expect("a key"), value);
        store.commit(batch).await.expect("committed");
    }
    Exports::new(Arc::new(move || Arc::clone(&store) as Arc<dyn Replicated>))
}

#[tokio::test]
async fn the_store_leaves_in_one_stream_and_one_at_a_time() {
    let control = Control::with_exports(Arc::default(), Some(exports().await)).await;
    let asked = request(Method::GET, "/api/backup", &[("authorization", "Bearer secret")]);
    let answer = client::send(control.address(), asked).await;
    let mut body = answer.expect("an answer").into_body();
    let first = body.frame().await.expect("a frame").expect("bytes");
    let busy = control.get("/api/backup").await;
    assert_eq!(busy.status, 409);
    assert!(busy.body.contains("ERR_BACKUP_BUSY"), "{}", busy.body);

    let mut incoming = Incoming::new();
    let mut records = incoming.push(&first.into_data().expect("data")).expect("records");
    while let Some(frame) = body.frame().await {
        let bytes = frame.expect("bytes").into_data().expect("data");
        records.extend(incoming.push(&bytes).expect("records"));
    }
    assert!(incoming.is_complete());
    let keys = records.iter().filter(|record| matches!(record, Record::Entry(_)));
    assert_eq!(keys.count(), 40);
    // The next one may ask now.
    let asked = request(Method::GET, "/api/backup", &[("authorization", "Bearer secret")]);
    let next = client::send(control.address(), asked).await.expect("an answer");
    assert_eq!(next.status(), 200);
}

#[tokio::test]
async fn there_is_none_without_a_store_or_without_the_token() {
    let control = Control::with(Arc::default()).await;
    assert_eq!(control.get("/api/backup").await.status, 404);
    assert_eq!(control.ask(Method::POST, "/api/backup").await.status, 405);
    let control = Control::with_exports(Arc::default(), Some(exports().await)).await;
    let asked = request(Method::GET, "/api/backup", &[]);
    let answer = client::send(control.address(), asked).await.expect("an answer");
    assert_eq!(answer.status(), 401);
}
