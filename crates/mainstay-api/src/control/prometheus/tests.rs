use std::time::Duration;

use expect_test::expect;

use super::*;

static CALLS: Descriptor = Descriptor {
    name: "calls_total",
    help: "Calls,\nby \\ target.",
    kind: Kind::Counter,
    labels: &["caller", "target"],
};
static OPEN: Descriptor = Descriptor {
    name: "open",
    help: "Open connections.",
    kind: Kind::Gauge,
    labels: &[],
};
static LATENCY: Descriptor = Descriptor {
    name: "latency_seconds",
    help: "How long calls take.",
    kind: Kind::Histogram,
    labels: &["target"],
};
static NEVER: Descriptor = Descriptor {
    name: "never",
    help: "Has no value yet.",
    kind: Kind::Gauge,
    labels: &[],
};

struct Fixed;

impl Collect for Fixed {
    fn descriptors(&self) -> &'static [&'static Descriptor] {
        static TABLE: [&Descriptor; 4] = [&CALLS, &OPEN, &LATENCY, &NEVER];
        &TABLE
    }

    fn collect(&self, visitor: &mut dyn Visitor) {
        visitor.value(&CALLS, &["a", "quote\" slash\\ line\n"], 3.0);
        visitor.value(&CALLS, &["a", "b"], 1.5e18);
        visitor.value(&OPEN, &[], f64::NEG_INFINITY);
        let histogram = Histogram::default();
        histogram.record(Duration::from_micros(150));
        histogram.record(Duration::from_micros(150));
        histogram.record(Duration::from_secs(100));
        visitor.histogram(&LATENCY, &["b"], &histogram);
    }
}

#[test]
fn text_is_as_prometheus_reads_it() {
    expect![[r#"
        # HELP calls_total Calls,\nby \\ target.
        # TYPE calls_total counter
        calls_total{caller="a",target="quote\" slash\\ line\n"} 3
        calls_total{caller="a",target="b"} 1500000000000000000
        # HELP open Open connections.
        # TYPE open gauge
        open -Inf
        # HELP latency_seconds How long calls take.
        # TYPE latency_seconds histogram
        latency_seconds_bucket{target="b",le="0.0001"} 0
        latency_seconds_bucket{target="b",le="0.0002"} 2
        latency_seconds_bucket{target="b",le="0.0005"} 2
        latency_seconds_bucket{target="b",le="0.001"} 2
        latency_seconds_bucket{target="b",le="0.002"} 2
        latency_seconds_bucket{target="b",le="0.005"} 2
        latency_seconds_bucket{target="b",le="0.01"} 2
        latency_seconds_bucket{target="b",le="0.02"} 2
        latency_seconds_bucket{target="b",le="0.05"} 2
        latency_seconds_bucket{target="b",le="0.1"} 2
        latency_seconds_bucket{target="b",le="0.2"} 2
        latency_seconds_bucket{target="b",le="0.5"} 2
        latency_seconds_bucket{target="b",le="1"} 2
        latency_seconds_bucket{target="b",le="2"} 2
        latency_seconds_bucket{target="b",le="5"} 2
        latency_seconds_bucket{target="b",le="10"} 2
        latency_seconds_bucket{target="b",le="30"} 2
        latency_seconds_bucket{target="b",le="60"} 2
        latency_seconds_bucket{target="b",le="+Inf"} 3
        latency_seconds_sum{target="b"} 100.0003
        latency_seconds_count{target="b"} 3
        # HELP never Has no value yet.
        # TYPE never gauge
    "#]]
    .assert_eq(&write(&[Arc::new(Fixed)]));
}
