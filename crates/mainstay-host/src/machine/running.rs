//! A replica whose process runs: what its probes say of it.

use std::time::Duration;

use mainstay_base::Timestamp;

use super::check::{Change, Check, ProbeKind, Try};
use super::event::Event;
use crate::{Probe, ProbeAction, Probes, ReplicaState};

/// After this long without being ready the user is told, and again each time it has doubled.
const FIRST_NOTICE: Duration = Duration::from_secs(5);

/// After this long the state says what is missing.
const LATE: Duration = Duration::from_secs(30);

/// What the probes lead to.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Finding {
    /// For the first time since this process started.
    Ready {
        after: Duration,
    },
    Tell(Event),
    MustEnd(String),
}

/// The probes of a running process.
#[derive(Debug)]
pub(super) struct Running {
    since: Timestamp,
    port: Option<u16>,
    startup: Option<Check>,
    readiness: Option<Check>,
    liveness: Option<Check>,
    /// No readiness probe was asked for: once the port accepts connections is enough.
    implied: bool,
    readiness_state: Readiness,
    notice_after: Duration,
}

#[derive(Debug, PartialEq, Eq)]
enum Readiness {
    NotYet { late: bool },
    Ready,
    Lost(String),
}

impl Running {
    /// The process has started just now; see [`Running::due`] for what to do.
    pub(super) fn new(probes: &Probes, port: Option<u16>, now: Timestamp) -> Self {
        let mut running = Self {
            since: now,
            port,
            startup: probes
                .startup
                .as_ref()
                .map(|probe| Check::new(ProbeKind::Startup, probe, now, now, false)),
            readiness: None,
            liveness: None,
            implied: false,
            readiness_state: Readiness::NotYet { late: false },
            notice_after: FIRST_NOTICE,
        };
        if running.startup.is_none() {
            running.begin_probes(probes, now);
        }
        running
    }

    fn begin_probes(&mut self, probes: &Probes, now: Timestamp) {
        let implied = self.port.map(|_| accepts_connections());
        self.implied = probes.readiness.is_none();
        self.readiness = probes
            .readiness
            .as_ref()
            .or(implied.as_ref())
            .map(|probe| Check::new(ProbeKind::Readiness, probe, self.since, now, true));
        self.liveness = probes
            .liveness
            .as_ref()
            .map(|probe| Check::new(ProbeKind::Liveness, probe, self.since, now, false));
    }

    pub(super) fn ran_for(&self, now: Timestamp) -> Duration {
        now.since(self.since)
    }

    /// Whether it may have calls under way.
    pub(super) fn was_ready(&self) -> bool {
        !matches!(self.readiness_state, Readiness::NotYet { .. })
    }

    pub(super) fn state(&self) -> ReplicaState {
        match &self.readiness_state {
            Readiness::NotYet { late: false } => ReplicaState::Starting,
            Readiness::NotYet { late: true } => ReplicaState::Unready(self.missing()),
            Readiness::Ready => ReplicaState::Ready,
            Readiness::Lost(reason) => ReplicaState::Unready(reason.clone()),
        }
    }

    /// When [`Running::due`] has something to do next.
    pub(super) fn deadline(&self) -> Option<Timestamp> {
        let checks = self.checks().filter_map(Check::due);
        let notice = matches!(self.readiness_state, Readiness::NotYet { .. }).then(|| self.next_notice());
        checks.chain(notice).min()
    }

    /// Probes to make now, and what there is to tell.
    pub(super) fn due(&mut self, now: Timestamp) -> (Vec<Try>, Vec<Finding>) {
        let mut findings = Vec::new();
        let waits_for_nothing = self.startup.is_none() && self.readiness.is_none();
        if waits_for_nothing && !self.was_ready() {
            findings.push(self.become_ready(now));
        }
        if let Readiness::NotYet { late } = &mut self.readiness_state
            && now >= self.since + self.notice_after.min(LATE)
        {
            *late = now.since(self.since) >= LATE;
            if now >= self.since + self.notice_after {
                self.notice_after = self.notice_after.saturating_mul(2);
                findings.push(Finding::Tell(Event::StillWaits {
                    what: self.missing(),
                    since: self.ran_for(now),
                }));
            }
        }
        let checks = [&mut self.startup, &mut self.readiness, &mut self.liveness];
        let due = checks.into_iter().flatten().filter_map(|check| check.begin(now));
        (due.collect(), findings)
    }

    /// Takes the result of a probe.
    pub(super) fn probed(
        &mut self,
        kind: ProbeKind,
        result: Result<(), String>,
        probes: &Probes,
        now: Timestamp,
    ) -> Option<Finding> {
        let check = match kind {
            ProbeKind::Startup => &mut self.startup,
            ProbeKind::Readiness => &mut self.readiness,
            ProbeKind::Liveness => &mut self.liveness,
        };
        let check = check.as_mut()?;
        let change = check.finish(result)?;
        let reason = check.last_failure().unwrap_or_default().to_owned();
        match (kind, change) {
            (ProbeKind::Startup, Change::TurnedGood) => {
                self.startup = None;
                self.begin_probes(probes, now);
                None
            }
            (ProbeKind::Startup, Change::TurnedBad) => {
                Some(Finding::MustEnd(format!("its startup probe failed: {reason}")))
            }
            (ProbeKind::Liveness, Change::TurnedBad) => {
                Some(Finding::MustEnd(format!("its liveness probe failed: {reason}")))
            }
            (ProbeKind::Liveness, Change::TurnedGood) => None,
            (ProbeKind::Readiness, Change::TurnedGood) => Some(self.become_ready(now)),
            (ProbeKind::Readiness, Change::TurnedBad) => self.lose_readiness(&reason),
        }
    }

    fn become_ready(&mut self, now: Timestamp) -> Finding {
        if self.implied {
            self.readiness = None;
        }
        match std::mem::replace(&mut self.readiness_state, Readiness::Ready) {
            Readiness::NotYet { .. } => Finding::Ready {
                after: self.ran_for(now),
            },
            Readiness::Ready | Readiness::Lost(_) => Finding::Tell(Event::ReadyAgain),
        }
    }

    fn lose_readiness(&mut self, reason: &str) -> Option<Finding> {
        if self.readiness_state != Readiness::Ready {
            return None;
        }
        let reason = format!("its readiness probe failed: {reason}");
        self.readiness_state = Readiness::Lost(reason.clone());
        Some(Finding::Tell(Event::Unready(reason)))
    }

    /// What an app that is not ready yet is waited for.
    fn missing(&self) -> String {
        let Some(check) = self.startup.as_ref().or(self.readiness.as_ref()) else {
            return String::new();
        };
        let what = match check.action() {
            ProbeAction::Tcp { port } => self.shown(*port, "accept connections"),
            ProbeAction::Http { path, port } => self.shown(*port, &format!("answer GET {path}")),
            ProbeAction::Exec { command } => format!("waits for `{}` to succeed", command.join(" ")),
            ProbeAction::Log { contains } => return format!("waits for a line of output with `{contains}`"),
        };
        if self.implied {
            return format!("{what}; does it listen on $PORT?");
        }
        match check.last_failure() {
            Some(failure) => format!("{what}: {failure}"),
            None => what,
        }
    }

    fn shown(&self, port: Option<u16>, verb: &str) -> String {
        match port.or(self.port) {
            Some(port) => format!("waits for port {port} to {verb}"),
            None => format!("waits for its port to {verb}"),
        }
    }

    fn next_notice(&self) -> Timestamp {
        let late = matches!(self.readiness_state, Readiness::NotYet { late: true });
        if late {
            self.since + self.notice_after
        } else {
            self.since + self.notice_after.min(LATE)
        }
    }

    fn checks(&self) -> impl Iterator<Item = &Check> {
        [&self.startup, &self.readiness, &self.liveness]
            .into_iter()
            .flatten()
    }
}

/// The readiness probe of an app that has a port and names none.
fn accepts_connections() -> Probe {
    Probe {
        action: ProbeAction::Tcp { port: None },
        initial_delay: Duration::ZERO,
        period: Duration::from_secs(1),
        timeout: Duration::from_secs(1),
        success_threshold: 1,
        failure_threshold: 1,
    }
}
