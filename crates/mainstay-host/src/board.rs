//! The published state: written by the tasks of the replicas, watched by everyone.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use mainstay_base::ReplicaId;
use tokio::sync::watch;

use crate::{AppSpec, AppStatus, ReplicaState, ReplicaStatus, Snapshot, Usage};

/// The published state of all replicas.
#[derive(Debug)]
pub(crate) struct Board {
    snapshot: watch::Sender<Arc<Snapshot>>,
    /// The guard of each replica, for the one who measures usage; 0 while there is none.
    guards: Vec<Vec<AtomicU32>>,
}

/// A replica's place on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) app: usize,
    pub(crate) replica: usize,
}

impl Board {
    /// All replicas of `specs`, none started.
    pub(crate) fn new(specs: &[AppSpec], now: SystemTime) -> Self {
        let status = |spec: &AppSpec, index| ReplicaStatus {
            id: ReplicaId {
                app: spec.app.clone(),
                index,
            },
            state: ReplicaState::Waiting(Vec::new()),
            pid: None,
            port: None,
            restarts: 0,
            since: now,
            was_ready: false,
            last_exit: None,
            usage: Usage::default(),
        };
        let app = |spec: &AppSpec| AppStatus {
            app: spec.app.clone(),
            replicas: (1..=spec.replicas).map(|index| status(spec, index)).collect(),
        };
        let guards = |spec: &AppSpec| (0..spec.replicas).map(|_| AtomicU32::new(0)).collect();
        Self {
            snapshot: watch::Sender::new(Arc::new(Snapshot {
                apps: specs.iter().map(app).collect(),
                stopping: false,
            })),
            guards: specs.iter().map(guards).collect(),
        }
    }

    pub(crate) fn watch(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshot.subscribe()
    }

    /// The present state.
    pub(crate) fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.borrow())
    }

    /// Changes one replica; `change` says whether it changed anything worth waking the watchers for.
    pub(crate) fn update(&self, slot: Slot, change: impl FnOnce(&mut ReplicaStatus) -> bool) {
        self.snapshot.send_if_modified(|snapshot| {
            let app = Arc::make_mut(snapshot).apps.get_mut(slot.app);
            app.and_then(|app| app.replicas.get_mut(slot.replica))
                .is_some_and(change)
        });
    }

    /// Notes what replicas use; wakes the watchers at most once.
    pub(crate) fn update_usage(&self, measured: &[(Slot, Usage)]) {
        self.snapshot.send_if_modified(|snapshot| {
            let snapshot = Arc::make_mut(snapshot);
            let mut changed = false;
            for (slot, usage) in measured {
                let app = snapshot.apps.get_mut(slot.app);
                let status = app.and_then(|app| app.replicas.get_mut(slot.replica));
                // One that has ended meanwhile uses nothing.
                if let Some(status) = status.filter(|status| status.pid.is_some() && status.usage != *usage) {
                    status.usage = *usage;
                    changed = true;
                }
            }
            changed
        });
    }

    /// Everything is about to stop.
    pub(crate) fn set_stopping(&self) {
        self.snapshot
            .send_modify(|snapshot| Arc::make_mut(snapshot).stopping = true);
    }

    /// Notes the guard under which a replica runs now.
    pub(crate) fn set_guard(&self, slot: Slot, pid: Option<u32>) {
        if let Some(guard) = self.guard(slot) {
            guard.store(pid.unwrap_or(0), Ordering::Relaxed);
        }
    }

    /// The guards that run now.
    pub(crate) fn guards(&self) -> Vec<(Slot, u32)> {
        let mut running = Vec::new();
        for (app, replicas) in self.guards.iter().enumerate() {
            for (replica, guard) in replicas.iter().enumerate() {
                let pid = guard.load(Ordering::Relaxed);
                if pid != 0 {
                    running.push((Slot { app, replica }, pid));
                }
            }
        }
        running
    }

    fn guard(&self, slot: Slot) -> Option<&AtomicU32> {
        self.guards.get(slot.app)?.get(slot.replica)
    }
}
