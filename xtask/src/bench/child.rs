//! A started program: pinned to a core, watched through `/proc`, ended with its owner.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use crate::procfs;

/// How long a program may take to be ready.
const START_LIMIT: Duration = Duration::from_secs(20);
/// How long a program may take to end before it is killed.
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// How often to look again.
const POLL: Duration = Duration::from_millis(20);

/// Where a program may run.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Core {
    /// The one that is measured.
    Proxy,
    /// The one that makes the load and answers it.
    Load,
    /// All of them.
    Any,
}

impl Core {
    /// `taskset` and its arguments; nothing for all cores.
    pub(crate) fn pin(self) -> &'static [&'static str] {
        match self {
            Self::Proxy => &["taskset", "-c", "0"],
            Self::Load => &["taskset", "-c", "1"],
            Self::Any => &[],
        }
    }
}

/// A running program; dropping it ends it.
pub(crate) struct Child {
    name: String,
    process: std::process::Child,
    log: PathBuf,
}

impl Child {
    /// Starts `words` on `core`. Output goes to a file in `dir`.
    pub(crate) fn start(
        name: &str,
        dir: &Path,
        core: Core,
        words: &[&str],
        env: &[(&str, String)],
    ) -> Result<Self> {
        let log = dir.join(format!("{name}.log"));
        let file = File::create(&log)?;
        // Should this tool be killed, its children go too.
        let words: Vec<&str> = ["setpriv", "--pdeathsig", "TERM"]
            .iter()
            .chain(core.pin())
            .chain(words)
            .copied()
            .collect();
        let process = Command::new(words[0])
            .args(&words[1..])
            .envs(env.iter().map(|(key, value)| (key, value)))
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        Ok(Self {
            name: name.to_owned(),
            process,
            log,
        })
    }

    /// Waits until `address` answers a `GET` of `path` with 200.
    pub(crate) fn wait_for_http(&mut self, address: SocketAddr, path: &str) -> Result<()> {
        let what = format!("answers on http://{address}{path}");
        self.wait_until(&what, || {
            super::client::get(address, path).is_ok_and(|answer| answer.status == 200)
        })
    }

    /// Waits until it is so, which `what` puts into words.
    pub(crate) fn wait_until(&mut self, what: &str, is_so: impl Fn() -> bool) -> Result<()> {
        let deadline = Instant::now() + START_LIMIT;
        while !is_so() {
            if let Some(status) = self.process.try_wait()? {
                bail!(
                    "{} ended ({status}) before it {what}:\n{}",
                    self.name,
                    self.log_tail()
                );
            }
            if Instant::now() > deadline {
                bail!(
                    "{} is not ready, it never {what}:\n{}",
                    self.name,
                    self.log_tail()
                );
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// What it printed.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// CPU time of the process alone.
    pub(crate) fn own_cpu(&self) -> Result<Duration> {
        procfs::cpu(self.process.id())
    }

    /// CPU time of the process and its descendants, those that have ended included.
    pub(crate) fn tree_cpu(&self) -> Result<Duration> {
        procfs::tree_cpu(self.process.id())
    }

    /// Resident memory of the process alone, in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        procfs::resident_bytes(self.process.id())
    }

    fn ended(&mut self, limit: Duration) -> Option<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            match self.process.try_wait() {
                Ok(None) if Instant::now() < deadline => std::thread::sleep(POLL),
                Ok(None) | Err(_) => return None,
                Ok(status) => return status,
            }
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let pid = i32::try_from(self.process.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid.filter(|_| self.process.try_wait().is_ok_and(|status| status.is_none())) {
            // It may end by itself in between; then there is nothing left to do.
            let _ = kill_process(pid, Signal::TERM);
        }
        if self.ended(STOP_LIMIT).is_none() {
            println!("warning: {} did not end when asked to; killed", self.name);
            let _ = self.process.kill();
            let _ = self.process.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_is_seen_and_ended() {
        let dir = tempfile::tempdir().unwrap();
        let child = Child::start("sleep", dir.path(), Core::Any, &["sleep", "60"], &[]).unwrap();
        let pid = child.process.id();
        assert!(child.tree_cpu().unwrap() < Duration::from_secs(1));
        assert!(child.resident_bytes().unwrap() > 0);
        drop(child);
        assert!(procfs::cpu(pid).is_err());
    }
}
