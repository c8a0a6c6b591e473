//! The task that does what the machine says.

use std::sync::Arc;

use mainstay_base::{Clock, Timestamp};
use mainstay_store::Watch;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout;

use super::Holding;
use super::machine::{Action, Machine, Renewed, Timing};
use crate::error::LockError;
use crate::holders::Holders;

/// One contender and what it needs.
pub(super) struct Contender {
    holders: Holders,
    name: String,
    owner: String,
    timing: Timing,
    clock: Arc<dyn Clock>,
    publish: watch::Sender<Option<Holding>>,
    machine: Machine,
    changes: (Watch, Watch),
}

impl Contender {
    pub(super) fn new(
        holders: Holders,
        name: String,
        owner: String,
        timing: Timing,
        clock: Arc<dyn Clock>,
        publish: watch::Sender<Option<Holding>>,
    ) -> Result<Self, LockError> {
        let changes = holders.watch(&name)?;
        let machine = Machine::new(owner.clone(), timing, clock.now());
        Ok(Self {
            holders,
            name,
            owner,
            timing,
            clock,
            publish,
            machine,
            changes,
        })
    }

    pub(super) async fn run(mut self, mut stopped: oneshot::Receiver<()>) {
        loop {
            let action = self.machine.next(self.clock.now());
            self.publish();
            tokio::select! {
                biased;
                // A call that is dropped here may still be committed: what it took is found below, or expires.
                _ = &mut stopped => break,
                () = self.act(action) => {}
            }
        }
        self.publish.send_replace(None);
        if let Ok(Err(error)) = timeout(self.timing.heartbeat, self.give_back()).await {
            tracing::warn!(lease = self.name, %error, "a lease could not be given back: it is free when it expires");
        }
    }

    async fn give_back(&self) -> Result<(), LockError> {
        if let Some(held) = self.holders.find(&self.name).await?
            && held.owner == self.owner
        {
            self.holders.release(&self.name, held.token).await?;
        }
        Ok(())
    }

    async fn act(&mut self, action: Action) {
        match action {
            Action::Wait(until) => self.wait(until).await,
            Action::Look => {
                let call = timeout(self.timing.heartbeat, self.holders.find(&self.name));
                let found = self.known("could not be read", call.await);
                self.machine.looked(self.clock.now(), found);
            }
            Action::Take(found) => {
                let started = self.clock.now();
                let take = self
                    .holders
                    .take(&self.name, &self.owner, self.timing.expiry, found.as_ref());
                let taken = self.known("could not be taken", timeout(self.timing.heartbeat, take).await);
                self.machine.taken(started, self.clock.now(), taken);
            }
            Action::Renew(token) => {
                let started = self.clock.now();
                let renew = self.holders.renew(&self.name, token, self.timing.expiry);
                let renewed = self.known(
                    "could not be renewed",
                    timeout(self.timing.heartbeat, renew).await,
                );
                let renewed = match renewed {
                    Ok(Some(_)) => Renewed::Done,
                    Ok(None) => Renewed::Over,
                    Err(()) => Renewed::Unknown,
                };
                self.machine.renewed(started, self.clock.now(), renewed);
            }
        }
    }

    /// Waits for the moment, or for somebody to take, renew or release the lease.
    async fn wait(&mut self, until: Timestamp) {
        let sleep = tokio::time::sleep(until.since(self.clock.now()));
        let (renewals, holders) = &mut self.changes;
        let woken = tokio::select! {
            () = sleep => return,
            woken = renewals.changed() => woken,
            woken = holders.changed() => woken,
        };
        if woken.is_err() {
            // The store is closed, so nothing will change: do not turn in circles.
            tokio::time::sleep(self.timing.heartbeat).await;
        }
        self.machine.woken(self.clock.now());
    }

    fn known<T>(
        &self,
        what: &str,
        outcome: Result<Result<T, LockError>, tokio::time::error::Elapsed>,
    ) -> Result<T, ()> {
        match outcome {
            Ok(Ok(known)) => Ok(known),
            Ok(Err(error)) => {
                tracing::warn!(lease = self.name, %error, "a lease {what}");
                Err(())
            }
            Err(_) => {
                tracing::warn!(lease = self.name, "a lease {what} in time");
                Err(())
            }
        }
    }

    fn publish(&self) {
        let holding = self.machine.holding().and_then(|(token, until)| {
            let fence = self.holders.fence(&self.name, token).ok()?;
            Some(Holding { fence, until })
        });
        self.publish.send_if_modified(|before| {
            let changed = fence(before.as_ref()) != fence(holding.as_ref());
            *before = holding;
            changed
        });
    }
}

/// Who waits for changes wants to know of grants, not of renewals.
fn fence(holding: Option<&Holding>) -> Option<&crate::fence::Fence> {
    holding.map(|holding| &holding.fence)
}
