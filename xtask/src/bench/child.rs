//! A started program: pinned to a core, watched through `/proc`, ended with its owner.

use std::fs::File;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

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
        let deadline = Instant::now() + START_LIMIT;
        loop {
            if super::client::get(address, path).is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            if let Some(status) = self.process.try_wait()? {
                bail!(
                    "{} ended ({status}) before it was ready:\n{}",
                    self.name,
                    self.log_tail()
                );
            }
            if Instant::now() > deadline {
                bail!(
                    "{} is not ready on http://{address}{path}:\n{}",
                    self.name,
                    self.log_tail()
                );
            }
            std::thread::sleep(POLL);
        }
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
        Ok(stat(self.process.id())?.cpu)
    }

    /// CPU time of the process and its descendants.
    pub(crate) fn tree_cpu(&self) -> Result<Duration> {
        let all = all_stats()?;
        let mut tree = vec![self.process.id()];
        let mut cpu = self.own_cpu()?;
        while let Some(parent) = tree.pop() {
            for child in all.iter().filter(|stat| stat.parent == parent) {
                cpu += child.cpu;
                tree.push(child.pid);
            }
        }
        Ok(cpu)
    }

    /// Resident memory of the process alone, in bytes.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .context("no VmRSS")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib * 1024)
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

struct Stat {
    pid: u32,
    parent: u32,
    cpu: Duration,
}

/// `/proc/PID/stat`: user and system time of all threads, in ticks of 10 ms (`USER_HZ` is 100 on every Linux).
fn stat(pid: u32) -> Result<Stat> {
    parse_stat(pid, &std::fs::read_to_string(format!("/proc/{pid}/stat"))?)
}

fn parse_stat(pid: u32, text: &str) -> Result<Stat> {
    // The second field, the name, is in parentheses and may contain anything.
    let fields: Vec<&str> = text
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect();
    let field = |number: usize| fields.get(number - 3).context("a short /proc/PID/stat");
    let ticks: u64 = field(14)?.parse::<u64>()? + field(15)?.parse::<u64>()?;
    Ok(Stat {
        pid,
        parent: field(4)?.parse()?,
        cpu: Duration::from_millis(ticks * 10),
    })
}

fn all_stats() -> Result<Vec<Stat>> {
    let entries = std::fs::read_dir("/proc")?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // A process that ended since the listing is none of ours.
    Ok(pids.filter_map(|pid| stat(pid).ok()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_parentheses_does_not_shift_the_fields() {
        let text = "77 (a) b (c) S 12 77 77 0 -1 4194304 100 0 0 0 250 50 9 9 20 0 1 0 100 1000 10";
        let stat = parse_stat(77, text).unwrap();
        assert_eq!(
            (stat.pid, stat.parent, stat.cpu),
            (77, 12, Duration::from_secs(3))
        );
    }

    #[test]
    fn a_child_is_seen_and_ended() {
        let dir = tempfile::tempdir().unwrap();
        let child = Child::start("sleep", dir.path(), Core::Any, &["sleep", "60"], &[]).unwrap();
        let pid = child.process.id();
        assert!(child.tree_cpu().unwrap() < Duration::from_secs(1));
        assert!(child.resident_bytes().unwrap() > 0);
        drop(child);
        assert!(stat(pid).is_err());
    }
}
