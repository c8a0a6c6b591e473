//! What Linux tells about processes under `/proc`. Elsewhere there is nothing to read, and everything here is empty.

use std::fs;
use std::io::Read as _;

/// One line of `/proc/<pid>/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessStat {
    pub(crate) pid: u32,
    pub(crate) parent: u32,
    pub(crate) group: u32,
    /// Has ended and waits for its parent to notice.
    pub(crate) zombie: bool,
    /// Processor time of the process itself, in clock ticks.
    pub(crate) own_ticks: u64,
    /// Processor time of the children it has waited for, in clock ticks.
    pub(crate) waited_ticks: u64,
    pub(crate) resident_pages: u64,
}

impl ProcessStat {
    /// Source: proc(5), `/proc/pid/stat`. The name in parentheses may itself hold spaces and parentheses.
    fn parse(text: &str) -> Option<Self> {
        let (pid, _) = text.split_once(' ')?;
        let (_, fields) = text.rsplit_once(") ")?;
        // proc(5) counts from 1 and the first field after the name is number 3.
        let mut fields = fields.split(' ');
        let zombie = matches!(fields.next()?, "Z" | "X");
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let user: u64 = fields.nth(14 - 5 - 1)?.parse().ok()?;
        let system: u64 = fields.next()?.parse().ok()?;
        let waited_user: u64 = fields.next()?.parse().ok()?;
        let waited_system: u64 = fields.next()?.parse().ok()?;
        let resident_pages = fields.nth(24 - 17 - 1)?.parse().ok()?;
        Some(Self {
            pid: pid.parse().ok()?,
            parent,
            group,
            zombie,
            own_ticks: user.saturating_add(system),
            waited_ticks: waited_user.saturating_add(waited_system),
            resident_pages,
        })
    }
}

/// All processes of the machine, to be searched by parent.
#[derive(Debug, Default)]
pub(crate) struct ProcessTable(Vec<ProcessStat>);

impl ProcessTable {
    /// Reads the present processes.
    pub(crate) fn read() -> Self {
        let Ok(entries) = fs::read_dir("/proc") else {
            return Self::default();
        };
        let mut text = String::with_capacity(512);
        let mut processes = Vec::new();
        for entry in entries.flatten() {
            let name = entry.file_name();
            if !name.as_encoded_bytes().iter().all(u8::is_ascii_digit) {
                continue;
            }
            text.clear();
            // One that is gone by now, or whose name is not UTF-8, is left out.
            let read =
                fs::File::open(entry.path().join("stat")).and_then(|mut file| file.read_to_string(&mut text));
            if read.is_ok() {
                processes.extend(ProcessStat::parse(&text));
            }
        }
        Self::new(processes)
    }

    fn new(mut processes: Vec<ProcessStat>) -> Self {
        processes.sort_unstable_by_key(|process| process.parent);
        Self(processes)
    }

    /// The process `pid` itself.
    pub(crate) fn get(&self, pid: u32) -> Option<&ProcessStat> {
        self.0.iter().find(|process| process.pid == pid)
    }

    /// Children of `root`, their children, and so on; without `root`.
    pub(crate) fn descendants(&self, root: u32) -> Vec<&ProcessStat> {
        let mut found: Vec<&ProcessStat> = self.children(root).collect();
        let mut next = 0;
        // The table is no snapshot: a pid that was used again meanwhile could close a circle, hence the bound.
        while let Some(process) = found.get(next).filter(|_| found.len() <= self.0.len()) {
            let children = self.children(process.pid);
            next += 1;
            found.extend(children);
        }
        found
    }

    fn children(&self, parent: u32) -> impl Iterator<Item = &ProcessStat> {
        let start = self.0.partition_point(|process| process.parent < parent);
        let later = self.0.get(start..).unwrap_or_default();
        later.iter().take_while(move |process| process.parent == parent)
    }
}

/// How many files a process has open; 0 when it is gone or not ours.
pub(crate) fn open_files(pid: u32) -> u64 {
    fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, |entries| entries.count() as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_line_is_too_odd(line in "[0-9]* (\\PC*) .( -?[0-9]*)*") {
            let _ = ProcessStat::parse(&line);
        }
    }

    fn process(pid: u32, parent: u32) -> ProcessStat {
        ProcessStat {
            pid,
            parent,
            group: 1,
            zombie: false,
            own_ticks: 0,
            waited_ticks: 0,
            resident_pages: 0,
        }
    }

    #[test]
    fn a_stat_line_is_read_even_with_a_wild_name() {
        let line = "4242 (a) S 1) R 17 4240 4242 0 -1 4194304 1 2 3 4 50 7 11 13 20 0 1 0 12345 1000000 321 \
                    18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
        let expected = ProcessStat {
            pid: 4242,
            parent: 17,
            group: 4240,
            zombie: false,
            own_ticks: 57,
            waited_ticks: 24,
            resident_pages: 321,
        };
        assert_eq!(ProcessStat::parse(line), Some(expected));
        for line in ["", "1", "1 (x) S", "1 (x) S 2 3"] {
            assert_eq!(ProcessStat::parse(line), None, "{line}");
        }
    }

    #[test]
    fn descendants_are_found_over_generations() {
        let table = ProcessTable::new(vec![
            process(5, 3),
            process(3, 2),
            process(2, 1),
            process(4, 2),
            process(9, 1),
            process(6, 5),
        ]);
        let mut pids: Vec<u32> = table.descendants(2).iter().map(|found| found.pid).collect();
        pids.sort_unstable();
        assert_eq!(pids, [3, 4, 5, 6]);
        assert!(table.descendants(6).is_empty());
    }

    #[test]
    fn a_circle_of_parents_ends() {
        let table = ProcessTable::new(vec![process(2, 3), process(3, 2)]);
        assert!(table.descendants(2).len() <= 4);
    }
}
