//! One command under a guard, seen from the host.

use std::ffi::OsString;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::UnixStream;
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

use crate::guard;
use crate::guard::message::{KILL, MAX_LINE_BYTES, Report, write_command};

/// How long a guard may take to read its command.
const COMMAND_TIMEOUT: Duration = Duration::from_secs(5);

/// What to run and where.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Launch<'a> {
    /// The command that runs a guard.
    pub(crate) guard: &'a [OsString],
    pub(crate) command: &'a [String],
    pub(crate) dir: &'a Path,
    /// Added to Mainstay's own variables; a later one wins.
    pub(crate) env: &'a [(String, String)],
}

/// A guarded command. Dropping it kills everything the command has started.
#[derive(Debug)]
pub(crate) struct Process {
    guard: Child,
    /// The guard's reports.
    reports: UnixStream,
    /// The same socket, for signals: written to at once, without asking the runtime whether it is ready.
    control: std::os::unix::net::UnixStream,
    unread: Vec<u8>,
    /// The command's process group, from its start to its end.
    group: Option<Pid>,
}

/// Where a guarded command's output can be read.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) stdout: Option<ChildStdout>,
    pub(crate) stderr: Option<ChildStderr>,
}

impl Process {
    /// Starts a guard with `launch.command`; whether the command itself can be run is told by [`Process::report`].
    pub(crate) fn spawn(launch: Launch<'_>) -> io::Result<(Self, Output)> {
        let (program, hidden) = launch.guard.split_first().ok_or(io::ErrorKind::InvalidInput)?;
        let (control, guard_end) = std::os::unix::net::UnixStream::pair()?;
        #[expect(
            clippy::disallowed_methods,
            reason = "this crate is the one that starts processes"
        )]
        let mut guard = Command::new(program)
            .arg0(guard::NAME)
            .args(hidden)
            .arg(guard::WATCH)
            .current_dir(launch.dir)
            .envs(launch.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::from(OwnedFd::from(guard_end)))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A Ctrl-C at the terminal is for Mainstay alone.
            .process_group(0)
            .spawn()?;
        // Waits only for a command that is larger than the socket's buffer. On an error the guard goes with the socket.
        control.set_write_timeout(Some(COMMAND_TIMEOUT))?;
        write_command(&mut &control, launch.command)?;
        control.set_nonblocking(true)?;
        let output = Output {
            stdout: guard.stdout.take(),
            stderr: guard.stderr.take(),
        };
        let process = Self {
            guard,
            reports: UnixStream::from_std(control.try_clone()?)?,
            control,
            unread: Vec::new(),
            group: None,
        };
        Ok((process, output))
    }

    /// The guard's own process, while it runs.
    pub(crate) fn guard_pid(&self) -> Option<u32> {
        self.guard.id()
    }

    /// What the guard says next; `None` once it and everything below it is gone. Cancel safe.
    pub(crate) async fn report(&mut self) -> Option<Report> {
        loop {
            if let Some(report) = self.next_unread() {
                match report {
                    Report::Started(pid) => {
                        self.group = i32::try_from(pid).ok().and_then(Pid::from_raw);
                    }
                    Report::Ended(_) => self.group = None,
                    Report::Refused(_) | Report::Left(_) => {}
                }
                return Some(report);
            }
            let mut bytes = [0; MAX_LINE_BYTES];
            let read = match self.reports.readable().await {
                Ok(()) => self.reports.try_read(&mut bytes),
                Err(error) => Err(error),
            };
            match read {
                Ok(count) if count > 0 => self
                    .unread
                    .extend_from_slice(bytes.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Ok(_) | Err(_) => break,
            }
        }
        self.finish().await;
        None
    }

    fn next_unread(&mut self) -> Option<Report> {
        loop {
            let end = self.unread.iter().position(|byte| *byte == b'\n')?;
            let line: Vec<u8> = self.unread.drain(..=end).take(end).collect();
            let report = std::str::from_utf8(&line).ok().and_then(Report::parse);
            if report.is_some() {
                return report;
            }
        }
    }

    async fn finish(&mut self) {
        // A group that is still known means that the guard was killed before the app.
        self.kill_group();
        if let Err(error) = self.guard.wait().await {
            tracing::debug!(%error, "cannot wait for a guard");
        }
    }

    /// Asks the guard to send a signal to the command's process group.
    pub(crate) fn signal(&self, number: i32) {
        match u8::try_from(number) {
            Ok(number) => self.tell(number),
            Err(_) => self.kill(),
        }
    }

    /// Asks the guard to kill everything the command has started.
    pub(crate) fn kill(&self) {
        self.tell(KILL);
    }

    fn tell(&self, byte: u8) {
        // A guard that is gone shows as the end of its stream; its queue holds more bytes than are ever sent.
        if let Err(error) = (&self.control).write(&[byte]) {
            tracing::debug!(%error, "cannot reach a guard");
        }
    }

    /// Kills the guard and the command's group without the guard's help, when it does not do it.
    pub(crate) fn abandon(&mut self) {
        self.kill_group();
        if let Err(error) = self.guard.start_kill() {
            tracing::debug!(%error, "cannot kill a guard");
        }
    }

    fn kill_group(&mut self) {
        if let Some(group) = self.group.take() {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
