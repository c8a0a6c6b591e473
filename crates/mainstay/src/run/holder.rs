//! Who listens on a port, found the way `ss -ltnp` finds it: the socket's inode in `/proc/net/tcp`, then the process that
//! has it open.

use std::fmt;
use std::fs;

/// A process that listens on a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holder {
    pid: u32,
    command: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "`{}` (pid {})", self.command, self.pid)
    }
}

/// The process that listens on `port`; `None` when there is none or its files may not be read.
pub(crate) fn of_port(port: u16) -> Option<Holder> {
    let tables = ["/proc/net/tcp", "/proc/net/tcp6"];
    let inodes: Vec<u64> = tables
        .into_iter()
        .filter_map(|table| fs::read_to_string(table).ok())
        .flat_map(|text| listening_inodes(&text, port))
        .collect();
    let pid = pids().find(|pid| has_open(*pid, &inodes))?;
    Some(Holder {
        pid,
        command: command(pid),
    })
}

/// Inodes of the sockets in state LISTEN on `port`, out of a table like `/proc/net/tcp`.
fn listening_inodes(table: &str, port: u16) -> Vec<u64> {
    const LISTEN: &str = "0A";
    let inode_of = |line: &str| {
        let mut fields = line.split_whitespace();
        let local = fields.nth(1)?;
        let state = fields.nth(1)?;
        let inode = fields.nth(5)?.parse().ok()?;
        let local_port = u16::from_str_radix(local.rsplit(':').next()?, 16).ok()?;
        (state == LISTEN && local_port == port).then_some(inode)
    };
    table.lines().skip(1).filter_map(inode_of).collect()
}

fn pids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn has_open(pid: u32, inodes: &[u64]) -> bool {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    files.flatten().any(|file| {
        fs::read_link(file.path()).is_ok_and(|target| {
            target
                .to_str()
                .and_then(|text| text.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok())
                .is_some_and(|inode| inodes.contains(&inode))
        })
    })
}

/// The command line, shortened; arguments may hold secrets, so only the program and the first one are shown.
fn command(pid: u32) -> String {
    let bytes = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let shown: Vec<String> = bytes
        .split(|byte| *byte == 0)
        .filter(|part| !part.is_empty())
        .take(2)
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect();
    if shown.is_empty() {
        "unknown".to_owned()
    } else {
        shown.join(" ").chars().take(120).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1130 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 31415 1 0000000000000000 100
   1: 0100007F:1130 0100007F:D2A4 01 00000000:00000000 00:00000000 00000000  1000        0 27182 1 0000000000000000 20
   2: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 0:0 0 0 0 161 1
   3: broken
";

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        assert_eq!(listening_inodes(TABLE, 4400), [31415]);
        assert_eq!(listening_inodes(TABLE, 80), [161]);
        assert_eq!(listening_inodes(TABLE, 4401), Vec::<u64>::new());
    }
}
