//! What `run` tells beside the log: decides what is worth telling; how it looks is `say`'s work.
//!
//! What happens to single replicas (waits, starts, fails) is told by the host, in the log.

use std::time::Duration;

use mainstay_base::Timestamp;
use mainstay_host::{ReplicaState, ReplicaStatus, Snapshot};

/// How long a stop takes before it is told again who is waited for.
const PATIENCE: Duration = Duration::from_secs(3);

/// Something worth telling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// Everything has been ready, or has failed for good.
    Up {
        /// Time since the start.
        after: Duration,
        /// Replicas that failed for good.
        failed: Vec<String>,
    },
    /// These have to end before Mainstay can.
    Stopping(Vec<String>),
    /// Nothing runs any more and nothing will, although nobody asked for a stop.
    AllEnded,
}

/// Watches the system and decides what to tell.
#[derive(Debug)]
pub(crate) struct Announcer {
    started: Timestamp,
    /// When it was told last who is waited for at a stop.
    told: Timestamp,
    phase: Phase,
}

#[derive(Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Up,
    Stopping,
    Ended,
}

impl Announcer {
    /// A system that starts at `now`.
    pub(crate) const fn new(now: Timestamp) -> Self {
        Self {
            started: now,
            told: now,
            phase: Phase::Starting,
        }
    }

    /// Looks at the present state; called on every change, and from time to time without one.
    pub(crate) fn look(&mut self, snapshot: &Snapshot, now: Timestamp) -> Option<Notice> {
        match self.phase {
            Phase::Starting | Phase::Up if has_ended(snapshot) => {
                self.phase = Phase::Ended;
                Some(Notice::AllEnded)
            }
            Phase::Starting if replicas(snapshot).all(has_arrived) => {
                self.phase = Phase::Up;
                Some(Notice::Up {
                    after: now.since(self.started),
                    failed: names(snapshot, |replica| {
                        matches!(replica.state, ReplicaState::Failed(_))
                    }),
                })
            }
            Phase::Stopping if now.since(self.told) >= PATIENCE => self.stop(snapshot, now),
            Phase::Starting | Phase::Up | Phase::Stopping | Phase::Ended => None,
        }
    }

    /// The system begins to stop, or goes on with it.
    pub(crate) fn stop(&mut self, snapshot: &Snapshot, now: Timestamp) -> Option<Notice> {
        let remaining = names(snapshot, |replica| !is_at_rest(replica));
        if remaining.is_empty() {
            self.phase = Phase::Ended;
            return None;
        }
        self.phase = Phase::Stopping;
        self.told = now;
        Some(Notice::Stopping(remaining))
    }
}

/// Whether a replica failed for good.
pub(crate) fn has_failed(snapshot: &Snapshot) -> bool {
    replicas(snapshot).any(|replica| matches!(replica.state, ReplicaState::Failed(_)))
}

fn replicas(snapshot: &Snapshot) -> impl Iterator<Item = &ReplicaStatus> {
    snapshot.apps.iter().flat_map(|app| &app.replicas)
}

/// Whether nothing runs any more and nothing will. A system without apps never ends by itself.
fn has_ended(snapshot: &Snapshot) -> bool {
    let mut replicas = replicas(snapshot).peekable();
    replicas.peek().is_some() && replicas.all(is_at_rest)
}

/// Whether a replica got as far as it can get at a start.
fn has_arrived(replica: &ReplicaStatus) -> bool {
    replica.was_ready || is_at_rest(replica)
}

const fn is_at_rest(replica: &ReplicaStatus) -> bool {
    matches!(
        replica.state,
        ReplicaState::Completed | ReplicaState::Failed(_) | ReplicaState::Stopped
    )
}

fn names(snapshot: &Snapshot, wanted: impl Fn(&ReplicaStatus) -> bool) -> Vec<String> {
    replicas(snapshot)
        .filter(|replica| wanted(replica))
        .map(|replica| replica.id.to_string())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use mainstay_base::{AppId, ReplicaId};
    use mainstay_host::{AppStatus, Usage};

    use super::*;

    fn snapshot(states: &[(ReplicaState, bool)]) -> Snapshot {
        let app = AppId::new("orders").unwrap();
        let replica = |(index, (state, was_ready)): (usize, &(ReplicaState, bool))| ReplicaStatus {
            id: ReplicaId {
                app: app.clone(),
                index: index as u32 + 1,
            },
            state: state.clone(),
            pid: None,
            port: None,
            restarts: 0,
            since: SystemTime::UNIX_EPOCH,
            was_ready: *was_ready,
            last_exit: None,
            usage: Usage::default(),
        };
        Snapshot {
            apps: vec![AppStatus {
                app: app.clone(),
                replicas: states.iter().enumerate().map(replica).collect(),
            }],
            stopping: false,
        }
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::ZERO + Duration::from_secs(seconds)
    }

    fn failed() -> ReplicaState {
        ReplicaState::Failed("no such command".to_owned())
    }

    #[test]
    fn up_is_told_once_when_the_last_replica_has_arrived() {
        let mut announcer = Announcer::new(at(0));
        let starting = snapshot(&[(ReplicaState::Ready, true), (ReplicaState::Starting, false)]);
        assert_eq!(announcer.look(&starting, at(1)), None);
        let up = snapshot(&[
            (ReplicaState::Unready("probe".to_owned()), true),
            (failed(), false),
            (ReplicaState::Completed, false),
        ]);
        let after = Duration::from_secs(2);
        let failed = vec!["orders-2".to_owned()];
        assert_eq!(announcer.look(&up, at(2)), Some(Notice::Up { after, failed }));
        assert_eq!(announcer.look(&up, at(3)), None);
    }

    #[test]
    fn a_system_ends_with_its_last_replica() {
        let mut announcer = Announcer::new(at(0));
        let ended = snapshot(&[(ReplicaState::Completed, false), (failed(), false)]);
        assert_eq!(announcer.look(&ended, at(1)), Some(Notice::AllEnded));
        assert_eq!(announcer.look(&ended, at(2)), None);
        assert!(has_failed(&ended));
    }

    #[test]
    fn a_system_without_apps_stays() {
        let mut announcer = Announcer::new(at(0));
        let after = Duration::ZERO;
        let failed = Vec::new();
        assert_eq!(
            announcer.look(&snapshot(&[]), at(0)),
            Some(Notice::Up { after, failed })
        );
        assert_eq!(announcer.look(&snapshot(&[]), at(1)), None);
    }

    #[test]
    fn a_slow_stop_is_told_again() {
        let mut announcer = Announcer::new(at(0));
        let two = snapshot(&[(ReplicaState::Ready, true), (ReplicaState::Stopping, true)]);
        let one = snapshot(&[(ReplicaState::Stopped, true), (ReplicaState::Stopping, true)]);
        let none = snapshot(&[(ReplicaState::Stopped, true), (ReplicaState::Stopped, true)]);
        let names = |names: &[&str]| {
            Some(Notice::Stopping(
                names.iter().map(|name| (*name).to_owned()).collect(),
            ))
        };
        assert_eq!(announcer.stop(&two, at(1)), names(&["orders-1", "orders-2"]));
        assert_eq!(announcer.look(&one, at(2)), None);
        assert_eq!(announcer.look(&one, at(4)), names(&["orders-2"]));
        assert_eq!(announcer.look(&none, at(8)), None);
    }
}
