//! What the system tells about a process: its CPU time, its memory.

use std::time::Duration;

use anyhow::{Context, Result};

/// CPU time of a process alone, all its threads.
///
/// # Errors
/// When there is no such process.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    Ok(stat(pid)?.cpu)
}

/// CPU time of the children of a process that have ended and that it has waited for.
///
/// # Errors
/// When there is no such process.
pub(crate) fn cpu_of_ended(pid: u32) -> Result<Duration> {
    Ok(stat(pid)?.cpu_of_ended)
}

/// CPU time of a process and its descendants, those that have ended included.
///
/// # Errors
/// When there is no such process.
pub(crate) fn tree_cpu(pid: u32) -> Result<Duration> {
    let all = all_stats()?;
    let root = stat(pid)?;
    let mut cpu = root.cpu + root.cpu_of_ended;
    let mut tree = vec![pid];
    while let Some(parent) = tree.pop() {
        for child in all.iter().filter(|stat| stat.parent == parent) {
            cpu += child.cpu + child.cpu_of_ended;
            tree.push(child.pid);
        }
    }
    Ok(cpu)
}

/// Resident memory of a process, in bytes.
///
/// # Errors
/// When there is no such process.
pub(crate) fn resident_bytes(pid: u32) -> Result<u64> {
    memory(pid, "VmRSS:")
}

/// The most memory that a process had resident so far, in bytes.
///
/// # Errors
/// When there is no such process.
pub(crate) fn peak_resident_bytes(pid: u32) -> Result<u64> {
    memory(pid, "VmHWM:")
}

fn memory(pid: u32, what: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(what));
    let kib: u64 = line
        .with_context(|| format!("no {what}"))?
        .trim()
        .trim_end_matches(" kB")
        .parse()?;
    Ok(kib * 1024)
}

struct Stat {
    pid: u32,
    parent: u32,
    cpu: Duration,
    /// Of children that have ended and were waited for.
    cpu_of_ended: Duration,
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
    let ticks = |numbers: [usize; 2]| -> Result<Duration> {
        let [user, system] = numbers.map(|number| field(number).map(|text| text.parse::<u64>()));
        Ok(Duration::from_millis((user?? + system??) * 10))
    };
    Ok(Stat {
        pid,
        parent: field(4)?.parse()?,
        cpu: ticks([14, 15])?,
        cpu_of_ended: ticks([16, 17])?,
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
        let text = "77 (a) b (c) S 12 77 77 0 -1 4194304 100 0 0 0 250 50 9 8 20 0 1 0 100 1000 10";
        let stat = parse_stat(77, text).unwrap();
        assert_eq!((stat.pid, stat.parent), (77, 12));
        assert_eq!(stat.cpu, Duration::from_secs(3));
        assert_eq!(stat.cpu_of_ended, Duration::from_millis(170));
    }
}
