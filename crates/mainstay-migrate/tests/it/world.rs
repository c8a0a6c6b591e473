//! What outlives a process: the stores, the journal, and what clients were told.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use mainstay_base::Reply;
use mainstay_migrate::{Journal, JournalError, OpenProblem, OpenStore, Place, Record, Stage, Stores};
use mainstay_store::history::{Action, Invoked, Outcome, Recorder};
use mainstay_store::simulated::{Faults, Simulated};
use mainstay_store::{Batch, KeyRange, Replicated, Role, Scan, Store};

use crate::breaking::{Breaker, Breaking, Moment};

/// Everything.
#[derive(Clone)]
pub(crate) struct World {
    shared: Arc<Shared>,
    /// Of the present process.
    pub(crate) breaker: Arc<Breaker>,
    pub(crate) moment: Moment,
}

struct Shared {
    stores: Mutex<BTreeMap<String, Simulated>>,
    journal: Mutex<Option<Record>>,
    seed: u64,
    recorder: Recorder,
    /// What clients have begun and not been told.
    pending: Mutex<Vec<(Invoked, Batch)>>,
}

pub(crate) fn place(name: &str) -> Place {
    Place {
        reference: name.to_owned(),
        location: format!("store {name}"),
    }
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        Self {
            shared: Arc::new(Shared {
                stores: Mutex::default(),
                journal: Mutex::default(),
                seed,
                recorder: Recorder::new(),
                pending: Mutex::default(),
            }),
            breaker: Arc::default(),
            moment: Moment::Before,
        }
    }

    /// For another process.
    pub(crate) fn with_breaker(&self, breaker: Arc<Breaker>, moment: Moment) -> Self {
        Self {
            shared: self.shared.clone(),
            breaker,
            moment,
        }
    }

    /// The store itself, without a breaker.
    pub(crate) fn store(&self, name: &str) -> Simulated {
        let mut stores = self.shared.stores.lock().unwrap();
        let faults = Faults {
            max_yields: 2,
            ..Faults::default()
        };
        let fresh = || Simulated::with_faults(self.shared.seed, faults);
        stores.entry(name.to_owned()).or_insert_with(fresh).clone()
    }

    pub(crate) fn seed(&self) -> u64 {
        self.shared.seed
    }

    pub(crate) fn recorder(&self) -> &Recorder {
        &self.shared.recorder
    }

    pub(crate) fn stage(&self) -> Option<Stage> {
        let journal = self.shared.journal.lock().unwrap();
        journal.as_ref().map(|record| record.stage.clone())
    }

    /// A client commits; when the process ends meanwhile, nobody knows.
    pub(crate) async fn commit(&self, store: &dyn Store, batch: Batch) -> Outcome {
        let begun = self.recorder().invoke();
        self.shared.pending.lock().unwrap().push((begun, batch.clone()));
        let outcome = Outcome::of(&store.commit(batch.clone()).await);
        self.shared
            .pending
            .lock()
            .unwrap()
            .retain(|(_, other)| *other != batch);
        self.recorder().finish(begun, Action::Commit { batch, outcome });
        outcome
    }

    /// The process has ended: what was not durable is gone, and clients do not know what became of their batches.
    pub(crate) fn end_process(&self) -> Vec<Batch> {
        for store in self.shared.stores.lock().unwrap().values() {
            store.crash();
            store.recover();
        }
        let pending = std::mem::take(&mut *self.shared.pending.lock().unwrap());
        for (begun, batch) in &pending {
            let action = Action::Commit {
                batch: batch.clone(),
                outcome: Outcome::Unknown,
            };
            self.recorder().finish(*begun, action);
        }
        pending.into_iter().map(|(_, batch)| batch).collect()
    }

    /// Which stores take commits. One without data does not count: it is new, or was removed.
    pub(crate) async fn primaries(&self) -> Vec<String> {
        let stores = self.shared.stores.lock().unwrap().clone();
        let mut found = Vec::new();
        for (name, store) in stores {
            let page = store.scan(&Scan::new(KeyRange::all())).await.unwrap();
            if store.role().await == Ok(Role::Primary) && !page.entries.is_empty() {
                found.push(name);
            }
        }
        found
    }
}

/// An open store of the world.
struct Open {
    world: World,
    name: String,
}

impl OpenStore for Open {
    fn store(&self) -> Arc<dyn Replicated> {
        Arc::new(Breaking {
            store: self.world.store(&self.name),
            breaker: self.world.breaker.clone(),
            moment: self.world.moment,
        })
    }

    fn close(&self) -> Reply<'_, ()> {
        Reply::ready(())
    }

    fn destroy(&self) -> Reply<'_, Result<(), String>> {
        Reply::waiting(self.world.breaker.call(self.world.moment, async {
            if self.world.primaries().await.contains(&self.name) {
                return Err(format!("{} is in use", self.name));
            }
            self.world.shared.stores.lock().unwrap().remove(&self.name);
            Ok(())
        }))
    }
}

impl Stores for World {
    fn locate(&self, reference: &str) -> Result<Place, String> {
        if reference.starts_with('?') {
            return Err(format!("`{reference}` is no store"));
        }
        Ok(place(reference))
    }

    fn open<'a>(&'a self, place: &'a Place) -> Reply<'a, Result<Arc<dyn OpenStore>, OpenProblem>> {
        if place.reference.starts_with('!') {
            return Reply::ready(Err(OpenProblem {
                message: format!("{} is not there", place.location),
                is_passing: true,
            }));
        }
        self.store(&place.reference);
        Reply::ready(Ok(Arc::new(Open {
            world: self.clone(),
            name: place.reference.clone(),
        })))
    }
}

impl Journal for World {
    fn load(&self) -> Reply<'_, Result<Option<Record>, JournalError>> {
        Reply::ready(Ok(self.shared.journal.lock().unwrap().clone()))
    }

    fn save<'a>(&'a self, record: &'a Record) -> Reply<'a, Result<(), JournalError>> {
        Reply::waiting(self.breaker.call(self.moment, async move {
            *self.shared.journal.lock().unwrap() = Some(record.clone());
            Ok(())
        }))
    }
}
