//! Owns the tasks of a host.

use std::collections::HashMap;
use std::sync::Arc;

use mainstay_base::Rng as _;
use mainstay_base::SplitMix64;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{Id, JoinSet};

use crate::board::Slot;
use crate::context::{Context, StopLevel};
use crate::replica::Replica;
use crate::{ReplicaState, roll, usage};

/// The tasks of a host: one for each replica, one for each app's restarts, one that measures.
pub(crate) struct Supervisor {
    context: Arc<Context>,
    replicas: JoinSet<()>,
    helpers: JoinSet<()>,
    slots: HashMap<Id, Slot>,
}

impl Supervisor {
    /// Starts the tasks. `restarts` has one signal for each app, in the order of the specs.
    pub(crate) fn start(context: &Arc<Context>, restarts: &[Arc<Notify>], seed: u64) -> Self {
        let mut rng = SplitMix64::new(seed);
        let mut supervisor = Self {
            context: Arc::clone(context),
            replicas: JoinSet::new(),
            helpers: JoinSet::new(),
            slots: HashMap::new(),
        };
        for (app, (spec, wanted)) in context.specs.iter().zip(restarts).enumerate() {
            let mut senders = Vec::new();
            for index in 0..spec.replicas {
                let slot = Slot {
                    app,
                    replica: index as usize,
                };
                let (sender, receiver) = mpsc::channel(1);
                senders.push(sender);
                let replica = Replica::new(Arc::clone(context), spec.clone(), slot, rng.next_u64());
                let task = supervisor.replicas.spawn(replica.run(receiver));
                supervisor.slots.insert(task.id(), slot);
            }
            let roll = roll::run(Arc::clone(context), spec.clone(), senders, Arc::clone(wanted));
            supervisor.helpers.spawn(roll);
        }
        supervisor.helpers.spawn(usage::run(Arc::clone(context)));
        supervisor
    }

    /// Runs until everything has stopped, then says so.
    pub(crate) async fn run(mut self, done: watch::Sender<bool>) {
        let mut stop = self.context.stop.subscribe();
        // With no replica at all there is still a stop to wait for.
        let stopping = async { stop.wait_for(|level| *level > StopLevel::Run).await.is_ok() };
        tokio::pin!(stopping);
        let mut told = false;
        loop {
            tokio::select! {
                _ = &mut stopping, if !told => {
                    told = true;
                    self.context.board.set_stopping();
                }
                ended = self.replicas.join_next_with_id(), if !self.replicas.is_empty() => {
                    if let Some(Err(error)) = ended {
                        self.replica_lost(error.id(), &error.to_string());
                    }
                }
                else => break,
            }
        }
        self.helpers.shutdown().await;
        self.context.logs.close();
        done.send_replace(true);
    }

    /// A defect: the task panicked, its processes were killed as it fell.
    fn replica_lost(&self, task: Id, error: &str) {
        tracing::error!(error, "the task of a replica was lost");
        if let Some(slot) = self.slots.get(&task) {
            self.context.board.set_guard(*slot, None);
            self.context.board.update(*slot, |status| {
                status.pid = None;
                status.state = ReplicaState::Failed("a defect of Mainstay ended its supervision".to_owned());
                true
            });
        }
    }
}
