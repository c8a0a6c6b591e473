//! How an app is watched, restarted and ended.

use std::time::Duration;

use mainstay_base::AppId;
use mainstay_host::{Condition, Need, Probe, ProbeAction, Probes, Restart, RestartPolicy};

use super::Builder;
use crate::diagnostic::{Code, Diagnostic};
use crate::manifest::file;
use crate::manifest::rules::{needs_of, restart_word};

/// The wait before the first restart where none is given.
pub(in crate::manifest) const BACKOFF_MIN: Duration = Duration::from_millis(500);
/// The longest wait before a restart where none is given.
pub(in crate::manifest) const BACKOFF_MAX: Duration = Duration::from_secs(30);

impl Builder<'_> {
    pub(super) fn probes(&mut self, name: &AppId, app: &file::App, env: &[(String, String)]) -> Probes {
        let mut probe = |kind: &str, probe: &Option<file::Probe>| {
            let path = ["apps", name.as_str(), "probes", kind];
            probe.as_ref().and_then(|probe| self.probe(probe, &path, env))
        };
        Probes {
            startup: probe("startup", &app.probes.startup),
            readiness: probe("readiness", &app.probes.readiness),
            liveness: probe("liveness", &app.probes.liveness),
        }
    }

    fn probe(&mut self, probe: &file::Probe, path: &[&str], env: &[(String, String)]) -> Option<Probe> {
        let action = if let Some(http) = &probe.http {
            let (url_path, port) = match http {
                file::HttpProbe::Path(path) => (path, None),
                file::HttpProbe::Full(full) => (&full.path, full.port),
            };
            if !url_path.starts_with('/') || url_path.parse::<http::uri::PathAndQuery>().is_err() {
                let message = format!("`{url_path}` is not a path");
                let place = self.place(&[path, &["http"]].concat());
                self.diagnostics
                    .push(Diagnostic::error(Code::WRONG_FORM, place, message).help("for example /healthz"));
            }
            ProbeAction::Http {
                path: url_path.clone(),
                port,
            }
        } else if let Some(tcp) = &probe.tcp {
            let port = match tcp {
                file::TcpProbe::Port(port) => Some(*port),
                file::TcpProbe::Full(full) => full.port,
            };
            ProbeAction::Tcp { port }
        } else if let Some(exec) = &probe.exec {
            let command = self.command(exec, &[path, &["exec"]].concat(), env);
            ProbeAction::Exec { command }
        } else {
            ProbeAction::Log {
                contains: probe.log.clone()?,
            }
        };
        let second = Duration::from_secs(1);
        Some(Probe {
            action,
            initial_delay: probe.initial_delay.as_ref().map_or(Duration::ZERO, |time| time.0),
            period: probe.period.as_ref().map_or(second, |time| time.0),
            timeout: probe.timeout.as_ref().map_or(second, |time| time.0),
            success_threshold: probe.success_threshold.unwrap_or(1),
            failure_threshold: probe.failure_threshold.unwrap_or(3),
        })
    }
}

pub(super) fn needs(app: &file::App) -> Vec<Need> {
    let need = |(app, condition, _): (&AppId, file::Condition, String)| Need {
        app: app.clone(),
        condition: match condition {
            file::Condition::Started => Condition::Started,
            file::Condition::Healthy => Condition::Healthy,
            file::Condition::Completed => Condition::Completed,
        },
    };
    needs_of(app).into_iter().map(need).collect()
}

pub(super) fn restart(app: &file::App) -> RestartPolicy {
    let full = match &app.restart {
        Some(file::Restart::Full(full)) => Some(full),
        _ => None,
    };
    let time = |time: Option<&file::PositiveTime>, default| time.map_or(default, |time| time.0);
    RestartPolicy {
        restart: match restart_word(app) {
            file::RestartWord::Always => Restart::Always,
            file::RestartWord::OnFailure => Restart::OnFailure,
            file::RestartWord::Never => Restart::Never,
        },
        backoff_min: time(full.and_then(|full| full.backoff_min.as_ref()), BACKOFF_MIN),
        backoff_max: time(full.and_then(|full| full.backoff_max.as_ref()), BACKOFF_MAX),
        calm: time(full.and_then(|full| full.calm.as_ref()), BACKOFF_MAX),
        max_restarts: full.and_then(|full| full.max_restarts),
    }
}

/// Numbers of Linux and the BSDs, where these agree.
pub(super) fn signal(signal: file::Signal) -> i32 {
    match signal {
        file::Signal::SigTerm => 15,
        file::Signal::SigInt => 2,
        file::Signal::SigQuit => 3,
        file::Signal::SigHup => 1,
        file::Signal::SigUsr1 => 10,
        file::Signal::SigUsr2 => 12,
        file::Signal::SigKill => 9,
    }
}
