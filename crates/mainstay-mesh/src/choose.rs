//! Which replica gets the next attempt.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use mainstay_base::Timestamp;
use mainstay_policy::Outcome;
use mainstay_policy::balance::pick_two;
use mainstay_policy::ejection::Standing;

use crate::callee::Callee;
use crate::random::ThreadRng;
use crate::replica::Replica;

/// How many replicas a call remembers to have tried.
const REMEMBERED: usize = 8;

/// The replicas that a call has tried.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tried {
    replicas: [usize; REMEMBERED],
    count: usize,
}

impl Tried {
    /// Remembers `replica`; the oldest is forgotten when there are too many.
    pub(crate) fn add(&mut self, replica: &Replica) {
        if let Some(slot) = self.replicas.get_mut(self.count % REMEMBERED) {
            *slot = identity(replica);
        }
        self.count += 1;
    }

    pub(crate) fn contains(&self, replica: &Replica) -> bool {
        self.count > 0 && self.replicas.contains(&identity(replica))
    }
}

/// A replica's address in memory tells it from all others that live.
fn identity(replica: &Replica) -> usize {
    std::ptr::from_ref(replica).addr()
}

/// What became of the choice.
#[derive(Debug)]
pub(crate) enum Choice {
    /// This one; a place at it is taken.
    Chosen {
        /// The replica.
        replica: Arc<Replica>,
        /// Whether its answer decides if it takes part again.
        probe: bool,
    },
    /// All are as busy as they may be.
    Full,
    /// There is none.
    None,
}

impl Callee {
    /// Chooses a replica: one whose time to be tried again has come; else the better of two drawn at random; else any
    /// that has a place. Those that were `tried` come last but for those left out, which nobody gets while there are
    /// others. When `only` one is meant, it is that one or none.
    pub(crate) fn choose(&self, tried: &Tried, only: Option<u32>, now: Timestamp) -> Choice {
        let replicas = self.state.replicas.load();
        if let Some(index) = only {
            return the_one(&replicas, index);
        }
        if replicas.is_empty() {
            return Choice::None;
        }
        if self.state.ejected.load(Ordering::Relaxed) > 0
            && let Some(replica) = due_probe(&replicas, tried, now)
        {
            return Choice::Chosen { replica, probe: true };
        }
        let typical = self.typical_latency();
        let cost = |index: usize| match replicas.get(index) {
            Some(replica) if !tried.contains(replica) => replica.cost(typical, now),
            _ => f64::INFINITY,
        };
        let picked = pick_two(replicas.len(), &mut ThreadRng, cost)
            .filter(|index| cost(*index).is_finite())
            .and_then(|index| replicas.get(index))
            .filter(|replica| replica.limiter.try_start());
        let takes_part = |replica: &Replica| !replica.is_ejected(now);
        picked
            .or_else(|| {
                any_with_place(&replicas, |replica| {
                    takes_part(replica) && !tried.contains(replica)
                })
            })
            .or_else(|| any_with_place(&replicas, takes_part))
            .or_else(|| any_with_place(&replicas, |_| true))
            .map_or(Choice::Full, |replica| Choice::Chosen {
                replica: replica.clone(),
                probe: false,
            })
    }
}

impl Callee {
    /// Whether there is a replica that takes part and was not tried.
    pub(crate) fn has_untried(&self, tried: &Tried, now: Timestamp) -> bool {
        let replicas = self.state.replicas.load();
        // A call that has tried more replicas than it remembers has tried enough.
        tried.count < REMEMBERED
            && replicas
                .iter()
                .any(|replica| !replica.is_ejected(now) && !tried.contains(replica))
    }
}

/// A replica that was left out for long enough and that nobody else is trying.
/// The replica of this index, whatever it costs.
fn the_one(replicas: &[Arc<Replica>], index: u32) -> Choice {
    match replicas.iter().find(|replica| replica.id.index == index) {
        Some(replica) if replica.limiter.try_start() => Choice::Chosen {
            replica: replica.clone(),
            probe: false,
        },
        Some(_) => Choice::Full,
        None => Choice::None,
    }
}

fn due_probe(replicas: &[Arc<Replica>], tried: &Tried, now: Timestamp) -> Option<Arc<Replica>> {
    let due = |replica: &&Arc<Replica>| {
        replica.ejection.standing(now) == Standing::ProbeDue
            && !tried.contains(replica)
            && replica.ejection.claim_probe(now)
    };
    let replica = replicas.iter().find(due)?;
    if replica.limiter.try_start() {
        return Some(replica.clone());
    }
    // Still full of old calls: the probe is for somebody else.
    let _ = replica
        .ejection
        .record(Outcome::Cancelled, || false, now, &mut ThreadRng);
    None
}

/// The first that has a place, from a random one on.
fn any_with_place(replicas: &[Arc<Replica>], eligible: impl Fn(&Replica) -> bool) -> Option<&Arc<Replica>> {
    let (before, after) = replicas.split_at(fastrand::usize(..replicas.len()));
    let mut all = after.iter().chain(before);
    all.find(|replica| eligible(replica) && replica.limiter.try_start())
}
