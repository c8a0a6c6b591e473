//! One run of a replica's process: the process, its output and the probes of it.

use std::sync::Arc;
use std::time::Duration;

use mainstay_base::ReplicaId;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::LogSource;
use crate::complete;
use crate::guard::message::Report;
use crate::machine::{Input, ProbeKind, Try};
use crate::output::pump;
use crate::probe::{self, Target};
use crate::process::{Launch, Output, Process};
use crate::program;

/// How long the output may take to end once all processes have.
const OUTPUT_LIMIT: Duration = Duration::from_secs(1);

/// One run of a replica's process. Dropping it kills everything.
pub(crate) struct Live {
    id: ReplicaId,
    process: Process,
    program: String,
    target: Target,
    /// The output, until the first report has been dealt with: so the log says first that the program started.
    unheard: Option<Output>,
    reported: bool,
    pumps: JoinSet<()>,
    probes: JoinSet<(ProbeKind, Result<(), String>)>,
    /// Until when the output may take, once all processes have ended.
    closing: Option<Instant>,
}

impl Live {
    /// Starts the command of `target`'s app.
    ///
    /// # Errors
    /// The input that tells the machine why there is no process.
    pub(crate) fn start(id: &ReplicaId, target: Target) -> Result<Self, Input> {
        let Some(spec) = target.context.specs.get(target.app) else {
            return Err(Input::Unstartable("there is no such app".to_owned()));
        };
        let command = complete::command(&spec.command, &target.own);
        let launch = Launch {
            guard: &target.context.options.guard,
            command: &command,
            dir: &spec.dir,
            env: &target.env,
        };
        let (process, output) = Process::spawn(launch)
            .map_err(|error| Input::Unavailable(format!("cannot start its guard: {error}")))?;
        Ok(Self {
            id: id.clone(),
            process,
            program: command.into_iter().next().unwrap_or_default(),
            target,
            unheard: Some(output),
            reported: false,
            pumps: JoinSet::new(),
            probes: JoinSet::new(),
            closing: None,
        })
    }

    /// The guard's own process.
    pub(crate) fn guard_pid(&self) -> Option<u32> {
        self.process.guard_pid()
    }

    /// Makes a probe; its result comes through [`Live::next`].
    pub(crate) fn probe(&mut self, wanted: Try) {
        let target = self.target.clone();
        self.probes.spawn(async move {
            let kind = wanted.kind;
            (kind, probe::run(target, wanted).await)
        });
    }

    pub(crate) fn signal(&self, number: i32) {
        self.process.signal(number);
    }

    pub(crate) fn kill(&self) {
        self.process.kill();
    }

    pub(crate) fn abandon(&mut self) {
        self.process.abandon();
    }

    fn listen(&mut self, output: Output) {
        let (logs, watch) = (&self.target.context.logs, &self.target.log);
        if let Some(stdout) = output.stdout {
            let source = LogSource::Output(self.id.clone());
            self.pumps
                .spawn(pump(stdout, source, Arc::clone(logs), Arc::clone(watch)));
        }
        if let Some(stderr) = output.stderr {
            let source = LogSource::Error(self.id.clone());
            self.pumps
                .spawn(pump(stderr, source, Arc::clone(logs), Arc::clone(watch)));
        }
    }

    /// What happens to the process next; [`Input::Gone`] is the last. Cancel safe.
    pub(crate) async fn next(&mut self) -> Input {
        if self.reported
            && let Some(output) = self.unheard.take()
        {
            self.listen(output);
        }
        loop {
            if let Some(until) = self.closing {
                // One that another user runs may hold the output open for ever.
                let output = async { while self.pumps.join_next().await.is_some() {} };
                let _ = tokio::time::timeout_at(until, output).await;
                return Input::Gone;
            }
            tokio::select! {
                report = self.process.report() => match report {
                    Some(report) => {
                        self.reported = true;
                        return self.translate(report);
                    }
                    None => self.closing = Some(Instant::now() + OUTPUT_LIMIT),
                },
                Some(probe) = self.probes.join_next() => if let Ok((kind, result)) = probe {
                    return Input::Probed(kind, result);
                },
                kind = self.target.log.next() => return Input::Probed(kind, Ok(())),
            }
        }
    }

    fn translate(&self, report: Report) -> Input {
        match report {
            Report::Started(pid) => Input::Started {
                pid,
                port: self.target.port,
            },
            Report::Refused(errno) => {
                let error = std::io::Error::from_raw_os_error(errno);
                Input::Refused {
                    reason: program::explain(&self.program, &error).to_string(),
                    for_good: !program::may_pass(&error),
                }
            }
            Report::Ended(exit) => Input::Ended(exit),
            Report::Left(count) => Input::Left(count),
        }
    }
}
