//! Moving what is stored to another store, through the control API.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use http::Method;
use mainstay_api::wire::{Migration, Problem};
use mainstay_base::Reply;
use mainstay_migrate::{
    Handle, Journal, JournalError, OpenProblem, OpenStore, Options, Phase, Place, Record, Running, Stores,
};
use mainstay_store::Replicated;
use mainstay_store::simulated::Simulated;

use crate::control::Control;
use crate::support::Answer;

/// Stores and a journal in memory.
#[derive(Default)]
struct Memory {
    stores: Mutex<BTreeMap<String, Simulated>>,
    journal: Mutex<Option<Record>>,
}

struct Open(Simulated);

impl OpenStore for Open {
    fn store(&self) -> Arc<dyn Replicated> {
        Arc::new(self.0.clone())
    }

    fn close(&self) -> Reply<'_, ()> {
        Reply::ready(())
    }

    fn destroy(&self) -> Reply<'_, Result<(), String>> {
        Reply::ready(Ok(()))
    }
}

impl Stores for Memory {
    fn locate(&self, reference: &str) -> Result<Place, String> {
        let place = Place {
            reference: reference.to_owned(),
            location: format!("store {reference}"),
        };
        let is_name = reference.chars().all(char::is_alphabetic);
        is_name
            .then_some(place)
            .ok_or_else(|| format!("`{reference}` is no store"))
    }

    fn open<'a>(&'a self, place: &'a Place) -> Reply<'a, Result<Arc<dyn OpenStore>, OpenProblem>> {
        let mut stores = self.stores.lock().unwrap();
        let store = stores.entry(place.reference.clone()).or_default();
        Reply::ready(Ok(Arc::new(Open(store.clone()))))
    }
}

impl Journal for Memory {
    fn load(&self) -> Reply<'_, Result<Option<Record>, JournalError>> {
        Reply::ready(Ok(self.journal.lock().unwrap().clone()))
    }

    fn save<'a>(&'a self, record: &'a Record) -> Reply<'a, Result<(), JournalError>> {
        *self.journal.lock().unwrap() = Some(record.clone());
        Reply::ready(Ok(()))
    }
}

async fn migrating() -> (Control, Handle, Running) {
    let memory = Arc::new(Memory::default());
    let place = memory.locate("a").unwrap();
    let options = Options::new(place, memory.clone(), memory);
    let (_, service) = mainstay_migrate::start(options).await.unwrap();
    let (handle, running) = service.spawn();
    (Control::migrating(handle.clone()).await, handle, running)
}

fn problem(answer: &Answer) -> String {
    let problem: Problem = serde_json::from_str(&answer.body).unwrap();
    problem.error_code
}

async fn until(handle: &mut Handle, phase: Phase) {
    while handle.status().is_none_or(|status| status.phase != phase) {
        assert!(handle.changed().await);
    }
}

#[tokio::test]
async fn a_migration_is_begun_steered_and_told() {
    let (control, mut handle, _running) = migrating().await;
    let migration = async || {
        let answer = control.get("/api/migration").await;
        let Migration { migration } = serde_json::from_str(&answer.body).unwrap();
        migration
    };
    assert_eq!(migration().await, None);
    let begun = control
        .send(Method::POST, "/api/migration", r#"{"to": "b"}"#)
        .await;
    assert_eq!(begun.status, 202);
    until(&mut handle, Phase::Ready).await;
    let status = migration().await.unwrap();
    assert_eq!((status.phase, status.target.as_str()), (Phase::Ready, "store b"));
    for (wish, phase) in [
        ("verify", Phase::Ready),
        ("cut-over", Phase::FollowingBack),
        ("finish", Phase::Finished),
    ] {
        let path = format!("/api/migration/{wish}");
        assert_eq!(control.ask(Method::POST, &path).await.status, 202, "{wish}");
        until(&mut handle, phase).await;
    }
    assert!(migration().await.unwrap().is_over);
}

#[tokio::test]
async fn refusals_have_their_codes() {
    let (control, _handle, _running) = migrating().await;
    let begin = async |body: &'static str| control.send(Method::POST, "/api/migration", body).await;
    for (answer, status, code) in [
        (
            control.ask(Method::POST, "/api/migration/cut-over").await,
            404,
            "ERR_NO_MIGRATION",
        ),
        (begin(r#"{"to": "?"}"#).await, 400, "ERR_BAD_REQUEST"),
        (begin(r#"{"too": "b"}"#).await, 400, "ERR_BAD_REQUEST"),
        (begin("").await, 400, "ERR_BAD_REQUEST"),
        (begin(r#"{"to": "a"}"#).await, 409, "ERR_MIGRATION_REFUSED"),
        (
            control.get("/api/migration/cut-over").await,
            405,
            "ERR_METHOD_NOT_ALLOWED",
        ),
        (
            control.ask(Method::PUT, "/api/migration").await,
            405,
            "ERR_METHOD_NOT_ALLOWED",
        ),
        (
            control.ask(Method::POST, "/api/migration/undo").await,
            404,
            "ERR_NOT_FOUND",
        ),
        (control.get("/api/migrations").await, 404, "ERR_NOT_FOUND"),
    ] {
        assert_eq!(
            (answer.status.as_u16(), problem(&answer).as_str()),
            (status, code),
            "{answer:?}"
        );
    }
}
