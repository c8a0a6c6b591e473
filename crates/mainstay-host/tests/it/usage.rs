//! What the replicas use, in the status and as metrics.

use std::collections::BTreeMap;

use mainstay_base::metric::{Descriptor, Histogram, Visitor};

use crate::support::{World, shell};

#[derive(Default)]
struct Seen(BTreeMap<(&'static str, Vec<String>), f64>);

impl Visitor for Seen {
    fn value(&mut self, descriptor: &'static Descriptor, labels: &[&str], value: f64) {
        assert_eq!(descriptor.labels.len(), labels.len());
        let labels = labels.iter().map(|label| (*label).to_owned()).collect();
        let before = self.0.insert((descriptor.name, labels), value);
        assert_eq!(before, None, "{} twice", descriptor.name);
    }

    fn histogram(&mut self, descriptor: &'static Descriptor, _: &[&str], _: &Histogram) {
        panic!("{} is no histogram", descriptor.name);
    }
}

#[tokio::test]
async fn usage_counts_the_whole_family_and_becomes_metrics() {
    // Two processes that work, one that waits for them.
    let work = "while true; do :; done";
    let world = World::start(vec![shell("busy", &format!("({work}) & ({work}) & wait"))]);
    let status = world
        .until("busy", 1, |status| {
            !status.usage.cpu.is_zero() && status.usage.processes == 3
        })
        .await;
    assert!(
        status.usage.memory_bytes > 100_000 && status.usage.open_files >= 9,
        "{:?}",
        status.usage
    );

    let metrics = world.handle.metrics();
    let mut seen = Seen::default();
    metrics.collect(&mut seen);
    let names: Vec<_> = metrics
        .descriptors()
        .iter()
        .map(|descriptor| descriptor.name)
        .collect();
    let emitted: Vec<_> = seen.0.keys().map(|(name, _)| *name).collect();
    let mut sorted = names.clone();
    sorted.sort_unstable();
    assert_eq!(emitted, sorted, "exactly the table");
    let labels = vec!["busy".to_owned(), "1".to_owned()];
    assert_eq!(
        seen.0.get(&("mainstay_process_ready", labels.clone())),
        Some(&1.0)
    );
    assert_eq!(
        seen.0.get(&("mainstay_process_restarts_total", labels)),
        Some(&0.0)
    );
    world.stop().await;
    assert_eq!(world.replica("busy", 1).usage.processes, 0);
}
