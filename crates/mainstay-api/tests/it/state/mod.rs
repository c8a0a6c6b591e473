//! The state API over HTTP and gRPC, with Dapr's codes and bodies.

mod grpc;
mod http;
mod merges;

use std::collections::BTreeMap;
use std::sync::Arc;

use mainstay_api::{Blocks, StateComponent};
use mainstay_state::crdt::Merging;
use mainstay_state::encryption::{Encrypted, Encryption, EncryptionKey};
use mainstay_state::redis::{self, Redis};
use mainstay_state::{InMemory, InMemoryOptions, KeyPrefix, StateStore};
use mainstay_store::SystemWallClock;
use serde_json::Value;

use crate::support::{Answer, Front, about};

fn memory(max_bytes: usize) -> Arc<dyn StateStore> {
    Arc::new(InMemory::new(InMemoryOptions {
        max_bytes,
        ..InMemoryOptions::default()
    }))
}

fn component(store: Arc<dyn StateStore>, prefix: KeyPrefix) -> StateComponent {
    StateComponent {
        about: about("state.in-memory"),
        store,
        cache: None,
        prefix,
        namespace: String::new(),
    }
}

fn key(name: &str) -> EncryptionKey {
    EncryptionKey::parse(name, &"07".repeat(32)).unwrap()
}

/// `statestore` for this app alone, `shared` between all, `raw` without a prefix over the same values, `sealed` over
/// them encrypted, `unsealed` over the keys of that one as they are, `small` that is soon full, `redis` that answers no
/// queries and whose server is never reached, `merging` and `sealed-merging` with values that merge.
fn front() -> Front {
    let values = memory(1 << 20);
    let sealed = Encrypted::new(values.clone(), Encryption::new(key("k"), None));
    let merging = |values| Arc::new(Merging::new(values, "node", Arc::new(SystemWallClock)));
    let sealed_too = Encrypted::new(memory(1 << 20), Encryption::new(key("k"), None));
    let nowhere = BTreeMap::from([("redisHost".to_owned(), "127.0.0.1:1".to_owned())]);
    let redis = Redis::new(redis::Options::from_metadata(&nowhere).unwrap()).unwrap();
    let state = BTreeMap::from([
        ("statestore", component(values.clone(), KeyPrefix::App)),
        ("shared", component(memory(1 << 20), KeyPrefix::Name)),
        ("raw", component(values.clone(), KeyPrefix::None)),
        (
            "unsealed",
            component(values, KeyPrefix::Constant("sealed".to_owned())),
        ),
        ("sealed", component(Arc::new(sealed), KeyPrefix::Name)),
        ("merging", component(merging(memory(1 << 20)), KeyPrefix::App)),
        (
            "sealed-merging",
            component(merging(Arc::new(sealed_too)), KeyPrefix::App),
        ),
        ("redis", component(Arc::new(redis), KeyPrefix::App)),
        ("small", component(memory(1 << 10), KeyPrefix::App)),
    ]);
    let state = state.into_iter().map(|(name, store)| (name.to_owned(), store));
    let blocks = Arc::new(Blocks {
        state: state.collect(),
        ..Blocks::default()
    });
    Front::start_with(&[], |options| options.blocks = blocks)
}

fn json_of(answer: &Answer) -> Value {
    serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}
