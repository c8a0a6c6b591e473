//! Leases: which of Mainstay's nodes does what only one may do, for as long as it is alive.
//!
//! A [`Lease`] contends for a name in a store until it holds it, renews it in the background, and gives it back when it is
//! stopped. When its holder dies, another one takes it over.
//!
//! # Rules
//!
//! 1. **One holder.** Of all leases of one name in one store, at most one says at any moment that it is held, as long as
//!    the monotonic clocks of the nodes differ in speed by less than a twentieth (see [`Options::margin`]).
//! 2. **Fenced.** Each holder has a token greater than those of all holders before it; renewals keep it. What a holder
//!    commits with its [`Fence`] is refused once there is another one. This holds whatever the clocks do.
//! 3. **Live.** A lease that nobody renews is taken over by one who contends, after its duration and one round trip.
//!
//! # How, without comparing clocks
//!
//! The nodes' clocks are never compared, and no wall clock is read. The scheme is that of Gray and Cheriton (1989) in the
//! form that leader election on Kubernetes made common:
//!
//! ```text
//! holder      ├─ renewal sent ── committed ── answered ─┤             held until: sent + duration - margin
//! contender                          ├ seen, clock starts ── unchanged for the whole duration ── takes it over
//! ```
//!
//! - A holder counts from the moment *before* it sent its last successful renewal; a contender from the moment *after* it
//!   read that renewal. So the holder's count begins first, and is shorter by the margin.
//! - Every renewal leaves a new version. A contender that finds another one starts again.
//! - Taking over requires that what was seen is still there, so a renewal that comes first wins.
//! - An answer that is lost counts as no renewal. Its commit can do no harm when it comes late: it requires the token.
//!
//! What the margin cannot cover is a clock that stands still while the others go on: a machine that is suspended, or a
//! process that is stopped between asking [`Standing::held`] and acting. That is what the fence is for.

mod machine;
mod task;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mainstay_base::{Clock, Timestamp};
use mainstay_store::Store;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use self::machine::Timing;
use self::task::Contender;
use crate::error::LockError;
use crate::expiry::{Expiry, InvalidExpiry};
use crate::fence::Fence;
use crate::holders::Holders;
use crate::key::{check_owner, check_resource};
use crate::port::FencingToken;

/// What to contend for, and how.
#[derive(Clone, Debug)]
pub struct Options {
    /// What is leased: only leases of the same name contend. 1 to [`MAX_RESOURCE_BYTES`](crate::limits::MAX_RESOURCE_BYTES)
    /// bytes.
    pub name: String,
    /// Which node this is, for people; need not be unique. Up to 200 bytes.
    pub node: String,
    /// How long a lease lasts without a renewal.
    pub duration: Duration,
    /// By how much earlier than that a holder stops. A tenth of the duration covers clocks that differ in speed by 5 %.
    pub margin: Duration,
    /// How long after a renewal the next one is sent, and how long one may take.
    pub heartbeat: Duration,
}

/// Times that cannot make a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTimes {
    /// The duration itself.
    #[error("{0}")]
    Duration(#[from] InvalidExpiry),
    /// The holder would stop before it can renew.
    #[error(
        "a lease needs room for a renewal: heartbeat ({heartbeat:?}) + margin ({margin:?}) < duration ({duration:?})"
    )]
    NoRoom {
        /// Between renewals.
        heartbeat: Duration,
        /// Before the end.
        margin: Duration,
        /// In all.
        duration: Duration,
    },
}

impl Options {
    /// A lease that lasts for `duration`: renewed every third of it, with a margin of a tenth.
    pub fn new(name: impl Into<String>, node: impl Into<String>, duration: Duration) -> Self {
        Self {
            name: name.into(),
            node: node.into(),
            duration,
            margin: duration / 10,
            heartbeat: duration / 3,
        }
    }

    fn timing(&self) -> Result<Timing, InvalidTimes> {
        let Self {
            duration,
            margin,
            heartbeat,
            ..
        } = *self;
        let expiry = Expiry::new(duration)?;
        if heartbeat.is_zero() || heartbeat.saturating_add(margin) >= expiry.duration() {
            return Err(InvalidTimes::NoRoom {
                heartbeat,
                margin,
                duration,
            });
        }
        Ok(Timing {
            expiry,
            margin,
            heartbeat,
        })
    }
}

/// Contends for a lease, and holds it, until it is stopped. Dropping it stops it too, without waiting for that: the lease is
/// given back if the runtime goes on, and expires if it does not.
#[derive(Debug)]
pub struct Lease {
    standing: Standing,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Says whether the lease is held. Cheap to clone.
#[derive(Clone)]
pub struct Standing {
    held: watch::Receiver<Option<Holding>>,
    clock: Arc<dyn Clock>,
}

/// A lease that is held, if it is not too late.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Holding {
    fence: Fence,
    until: Timestamp,
}

impl Lease {
    /// Starts to contend in `store`; runs on the present runtime. `clock` must be monotonic and must go as fast as the
    /// runtime's timers.
    pub fn start(store: Arc<dyn Store>, options: &Options, clock: Arc<dyn Clock>) -> Result<Self, LockError> {
        let timing = options.timing()?;
        check_resource(&options.name)?;
        let owner = unique_owner(&options.node)?;
        check_owner(&owner)?;
        let (publish, held) = watch::channel(None);
        let (stop, stopped) = oneshot::channel();
        let holders = Holders::new(store, "lease/");
        let contender = Contender::new(
            holders,
            options.name.clone(),
            owner,
            timing,
            clock.clone(),
            publish,
        )?;
        Ok(Self {
            standing: Standing { held, clock },
            stop,
            task: tokio::spawn(contender.run(stopped)),
        })
    }

    /// Says whether it is held.
    pub const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// Stops contending, and gives the lease back so that another one need not wait for its end.
    ///
    /// Waits for the store no longer than a heartbeat.
    pub async fn stop(self) {
        // It is gone already when its runtime was shut down.
        let _ = self.stop.send(());
        if let Err(error) = self.task.await
            && error.is_panic()
        {
            tracing::error!("the task of a lease has failed");
        }
    }
}

impl Standing {
    /// What protects a batch of the same store, while the lease is held; `None` when it is not.
    ///
    /// Judged by the clock at the moment of the call, not by when a task came to run.
    pub fn held(&self) -> Option<Fence> {
        let holding = self.held.borrow();
        let holding = holding.as_ref()?;
        (self.clock.now() < holding.until).then(|| holding.fence.clone())
    }

    /// The token of the grant, while the lease is held.
    pub fn token(&self) -> Option<FencingToken> {
        self.held().map(|fence| fence.token())
    }

    /// Waits until [`Standing::held`] may have another answer. Returns at once when the lease was stopped.
    ///
    /// Cancel safe: a change that was not returned is returned by the next call.
    pub async fn changed(&mut self) {
        // A stopped lease is held by nobody, and stays so.
        let _ = self.held.changed().await;
    }

    /// Waits until the lease is held; `None` when it is stopped first. Cancel safe.
    pub async fn acquired(&mut self) -> Option<Fence> {
        loop {
            self.held.borrow_and_update();
            if let Some(fence) = self.held() {
                return Some(fence);
            }
            self.held.changed().await.ok()?;
        }
    }
}

impl fmt::Debug for Standing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Standing").field(&self.held()).finish()
    }
}

/// No two leases may take each other for themselves, not even of one process.
fn unique_owner(node: &str) -> Result<String, LockError> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|_| LockError::NoRandomness)?;
    Ok(format!("{node}#{:032x}", u128::from_be_bytes(bytes)))
}
