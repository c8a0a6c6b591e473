//! The simulated adapter: the conformance suite, and histories with everything going wrong.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use mainstay_store::conformance::Subject;
use mainstay_store::conformance::replication::ReplicationSubject;
use mainstay_store::conformance::workload::{self, Client};
use mainstay_store::history::Recorder;
use mainstay_store::simulated::{Faults, Simulated};
use mainstay_store::{Replicated, Store, Version, conformance_suite};

pub(crate) struct InMemory(Simulated);

impl Subject for InMemory {
    async fn open() -> Self {
        Self(Simulated::new())
    }

    fn store(&self) -> Arc<dyn Store> {
        Arc::new(self.0.clone())
    }

    async fn restart(&mut self) {
        self.0.crash();
        self.0.recover();
    }
}

impl ReplicationSubject for InMemory {
    async fn open_keeping(bytes: u64) -> Self {
        let store = Simulated::new();
        store.set_max_feed_bytes(bytes as usize);
        Self(store)
    }

    fn replicated(&self) -> Arc<dyn Replicated> {
        Arc::new(self.0.clone())
    }
}

conformance_suite!(InMemory);

mod replication {
    mainstay_store::replication_suite!(super::InMemory, super::InMemory);
}

/// Everything that can go wrong does, and the store still keeps its word.
#[tokio::test]
async fn faults_do_not_break_promises() {
    for seed in 0..40 {
        let faults = Faults {
            rivals: 50,
            unknown: 50,
            overloads: 30,
            crashes: 10,
            clock_jumps: 50,
            max_yields: 4,
        };
        let simulated = Simulated::with_faults(seed, faults);
        let store: Arc<dyn Store> = Arc::new(simulated.clone());
        let recorder = Arc::new(Recorder::new());
        let ids = Arc::new(AtomicU64::new(1));
        for _ in 0..10 {
            let mut unknown = workload::run(&store, &recorder, &ids, 6, 15).await;
            simulated.recover();
            while let Some(batch) = unknown.pop() {
                if !workload::settle(&store, &recorder, &batch).await {
                    unknown.push(batch);
                }
                simulated.recover();
            }
            Client::new(store.clone(), 0).look(recorder.as_ref()).await;
        }
        let mut history = recorder.history();
        for (version, batch) in simulated.rivals() {
            history.add_unobserved(version, batch);
        }
        let summary = history
            .check()
            .unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
        assert!(
            summary.commits > 0 && summary.unknown > 0,
            "seed {seed}: {summary:?}"
        );
        assert!(
            simulated
                .rivals()
                .iter()
                .all(|(version, _)| *version > Version::ZERO)
        );
    }
}
