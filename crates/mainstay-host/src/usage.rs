//! Measures what the replicas use.

use std::sync::Arc;
use std::time::Duration;

use rustix::param::{clock_ticks_per_second, page_size};
use tokio::time::MissedTickBehavior;

use crate::Usage;
use crate::board::Slot;
use crate::context::Context;
use crate::proc_fs::{self, ProcessTable};

/// Time between two measurements. One costs about 10 us for each process of the machine.
const PERIOD: Duration = Duration::from_secs(2);

/// Measures for ever.
pub(crate) async fn run(context: Arc<Context>) {
    let mut ticks = tokio::time::interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let guards = context.board.guards();
        if guards.is_empty() {
            continue;
        }
        // Reading /proc blocks, and this runtime may serve calls.
        let measured = tokio::task::spawn_blocking(move || measure(&guards)).await;
        context.board.update_usage(&measured.unwrap_or_default());
    }
}

fn measure(guards: &[(Slot, u32)]) -> Vec<(Slot, Usage)> {
    let table = ProcessTable::read();
    guards
        .iter()
        .map(|(slot, guard)| (*slot, below(&table, *guard)))
        .collect()
}

/// Adds up everything below a guard. Memory that processes share counts once for each of them.
fn below(table: &ProcessTable, guard: u32) -> Usage {
    // Processes that have ended live on in the time of the one that waited for them, so nothing is lost.
    let mut ticks = table.get(guard).map_or(0, |guard| guard.waited_ticks);
    let mut usage = Usage::default();
    for process in table.descendants(guard) {
        ticks += process.own_ticks + process.waited_ticks;
        usage.memory_bytes += process.resident_pages * page_size() as u64;
        usage.open_files += proc_fs::open_files(process.pid);
        usage.processes += u32::from(!process.zombie);
    }
    let ticks_per_second = clock_ticks_per_second().max(1);
    usage.cpu = Duration::from_millis(ticks.saturating_mul(1000) / ticks_per_second);
    usage
}
