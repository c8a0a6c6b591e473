//! Makes one probe.

use std::sync::Arc;

use mainstay_base::format_duration;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use crate::complete;
use crate::context::Context;
use crate::guard::message::Report;
use crate::machine::{ProbeKind, Try};
use crate::output::LogWatch;
use crate::process::{Launch, Output, Process};
use crate::{AppSpec, Exit, NetworkProbe, ProbeAction, program};

/// How much of a failed command's output is read for the reason.
const OUTPUT_BYTES: u64 = 4096;

/// What a probe of one running process needs to know.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) context: Arc<Context>,
    /// Index of its app.
    pub(crate) app: usize,
    pub(crate) port: Option<u16>,
    pub(crate) env: Arc<[(String, String)]>,
    /// Those of them that differ from replica to replica.
    pub(crate) own: Arc<[(String, String)]>,
    pub(crate) log: Arc<LogWatch>,
}

/// Makes one try within its timeout. Cancel safe: a command that was started is killed.
pub(crate) async fn run(target: Target, wanted: Try) -> Result<(), String> {
    let timeout = wanted.timeout;
    let made = tokio::time::timeout(timeout, attempt(&target, wanted));
    made.await
        .unwrap_or_else(|_| Err(format!("no answer within {}", format_duration(timeout))))
}

async fn attempt(target: &Target, wanted: Try) -> Result<(), String> {
    let network = match wanted.action {
        ProbeAction::Log { .. } => return seen(target, wanted.kind),
        ProbeAction::Exec { command } => return exec(target, &command).await,
        ProbeAction::Tcp { port } => NetworkProbe::Tcp {
            port: target.port_or(port)?,
        },
        ProbeAction::Http { path, port } => NetworkProbe::Http {
            port: target.port_or(port)?,
            path,
        },
    };
    target.context.surroundings.probe(&network).await
}

fn seen(target: &Target, kind: ProbeKind) -> Result<(), String> {
    if target.log.has_seen(kind) {
        Ok(())
    } else {
        Err("the line has not been written".to_owned())
    }
}

impl Target {
    fn port_or(&self, other: Option<u16>) -> Result<u16, String> {
        other
            .or(self.port)
            .ok_or_else(|| "the app has no port".to_owned())
    }

    fn spec(&self) -> Option<&AppSpec> {
        self.context.specs.get(self.app)
    }
}

/// Runs the command where and as the app runs. It has a guard of its own, so that it cannot outlive Mainstay either.
async fn exec(target: &Target, command: &[String]) -> Result<(), String> {
    let spec = target.spec().ok_or("no such app")?;
    let command = &complete::command(command, &target.own);
    let program = command.first().map(String::as_str).unwrap_or_default();
    program::check(program, &spec.dir, &target.env).map_err(|error| error.to_string())?;
    let (mut process, output) = Process::spawn(Launch {
        guard: &target.context.options.guard,
        command,
        dir: &spec.dir,
        env: &target.env,
    })
    .map_err(|error| format!("`{program}` cannot be started: {error}"))?;
    let (exit, last_line) = tokio::join!(end_of(&mut process), last_line(output));
    match exit {
        Some(Exit::Code(0)) => Ok(()),
        Some(exit) => Err(format!("`{program}`: {exit}{last_line}")),
        None => Err(format!("`{program}` cannot be run")),
    }
}

async fn end_of(process: &mut Process) -> Option<Exit> {
    let mut exit = None;
    while let Some(report) = process.report().await {
        if let Report::Ended(ended) = report {
            exit = Some(ended);
        }
    }
    exit
}

/// The last line written, with a separator before it; standard error is preferred.
async fn last_line(output: Output) -> String {
    let (stdout, stderr) = tokio::join!(beginning(output.stdout), beginning(output.stderr));
    let last = |text: &str| text.trim_end().lines().next_back().map(str::to_owned);
    last(&stderr)
        .or_else(|| last(&stdout))
        .map_or_else(String::new, |line| format!(": {line}"))
}

async fn beginning(stream: Option<impl AsyncRead + Unpin>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        // What was read before an error is still worth showing.
        let _ = (&mut stream).take(OUTPUT_BYTES).read_to_end(&mut bytes).await;
        let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
