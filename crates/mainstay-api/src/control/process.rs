//! What Mainstay itself uses, under the names that Prometheus clients use for it.

use std::fs;

use mainstay_base::metric::{Collect, Descriptor, Kind, Visitor};

use crate::wire::System;

const fn descriptor(name: &'static str, help: &'static str, kind: Kind) -> Descriptor {
    Descriptor {
        name,
        help,
        kind,
        labels: &[],
    }
}

static CPU: Descriptor = descriptor(
    "process_cpu_seconds_total",
    "Processor time that Mainstay itself has used.",
    Kind::Counter,
);
static RESIDENT: Descriptor = descriptor(
    "process_resident_memory_bytes",
    "Memory that Mainstay itself occupies.",
    Kind::Gauge,
);
static OPEN_FILES: Descriptor = descriptor(
    "process_open_fds",
    "File descriptors that Mainstay itself has open.",
    Kind::Gauge,
);
static START_TIME: Descriptor = descriptor(
    "process_start_time_seconds",
    "When Mainstay started, in seconds since 1970.",
    Kind::Gauge,
);
static BUILD_INFO: Descriptor = Descriptor {
    name: "mainstay_build_info",
    help: "Always 1; tells the version.",
    kind: Kind::Gauge,
    labels: &["version"],
};
/// Every metric of Mainstay's own process.
pub static PROCESS_METRIC_TABLE: [&Descriptor; 5] = [&CPU, &RESIDENT, &OPEN_FILES, &START_TIME, &BUILD_INFO];

/// What Mainstay itself uses.
pub(crate) struct ProcessMetrics {
    started_seconds: f64,
    version: String,
}

impl ProcessMetrics {
    pub(crate) fn new(system: &System) -> Self {
        Self {
            started_seconds: system.started_unix_ms as f64 / 1e3,
            version: system.version.clone(),
        }
    }
}

impl Collect for ProcessMetrics {
    fn descriptors(&self) -> &'static [&'static Descriptor] {
        &PROCESS_METRIC_TABLE
    }

    fn collect(&self, visitor: &mut dyn Visitor) {
        // What cannot be read is left out.
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        if let Some(seconds) = cpu_seconds(&stat) {
            visitor.value(&CPU, &[], seconds);
        }
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        if let Some(bytes) = resident_bytes(&status) {
            visitor.value(&RESIDENT, &[], bytes);
        }
        if let Ok(files) = fs::read_dir("/proc/self/fd") {
            visitor.value(&OPEN_FILES, &[], files.count() as f64);
        }
        visitor.value(&START_TIME, &[], self.started_seconds);
        visitor.value(&BUILD_INFO, &[&self.version], 1.0);
    }
}

/// Clock ticks in a second: 100 on every Linux, whatever the kernel itself counts in (`USER_HZ`, time(7)).
const TICKS_PER_SECOND: f64 = 100.0;

/// User and system time (fields 14 and 15 of `/proc/pid/stat`). The program's name in parentheses may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ').skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / TICKS_PER_SECOND)
}

/// Resident memory (`VmRSS` of `/proc/pid/status`).
fn resident_bytes(status: &str) -> Option<f64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kibibytes: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kibibytes * 1024.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_files_are_read() {
        let stat = "42 (a) b) S 1 42 42 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 4 0 1 1 1";
        assert_eq!(cpu_seconds(stat), Some(2.0));
        assert_eq!(resident_bytes("Name:\tx\nVmRSS:\t    12 kB\n"), Some(12288.0));
        for garbage in ["", ") ", "1 (x) S", "VmRSS:", "VmRSS: x kB"] {
            assert_eq!((cpu_seconds(garbage), resident_bytes(garbage)), (None, None));
        }
    }
}
