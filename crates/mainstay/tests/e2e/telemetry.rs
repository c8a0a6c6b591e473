//! Metrics and spans of the running binary.

use std::collections::BTreeSet;

use http::Response;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message as _;

use crate::harness::{Backend, System, eventually};

const DUO: &str = "
name: duo
apps:
  front: { command: testapp, ingress: {}, calls: [back] }
  back: { command: testapp, replicas: 2, sla: { latency: 1s } }
";

#[tokio::test]
async fn the_binary_emits_exactly_the_metrics_of_the_tables() {
    let system = System::start(DUO).await;
    assert_eq!(
        system.ingress().await.get("/call?to=back&path=/").await.status,
        200
    );
    let tables = [
        mainstay_host::METRIC_TABLE.as_slice(),
        mainstay_mesh::METRIC_TABLE,
        mainstay_api::METRIC_TABLE.as_slice(),
        mainstay_cache::METRIC_TABLE,
        mainstay_backup::archive::ARCHIVE_METRIC_TABLE.as_slice(),
        mainstay_api::PROCESS_METRIC_TABLE.as_slice(),
    ];
    let expected: BTreeSet<String> = tables
        .into_iter()
        .flatten()
        .map(|descriptor| descriptor.name.to_owned())
        .collect();
    let metrics = system.metrics().await;
    assert_eq!(metrics.names, expected);
    for replica in ["1", "2"] {
        let labels = [("app", "back"), ("replica", replica)];
        assert_eq!(metrics.sum("mainstay_process_ready", &labels), 1);
    }
    assert_eq!(
        metrics.sum("mainstay_calls_total", &[("caller", "front"), ("target", "back")]),
        1
    );
    assert_eq!(
        metrics.sum(
            "mainstay_calls_total",
            &[("caller", "ingress"), ("target", "front")]
        ),
        1
    );
}

/// The spans that have arrived at a collector.
fn spans(collector: &Backend) -> Vec<Span> {
    let requests = collector.arrived().into_iter().map(|(head, body)| {
        assert_eq!(head.uri.path(), "/v1/traces");
        assert_eq!(head.headers["content-type"], "application/x-protobuf");
        ExportTraceServiceRequest::decode(body).expect("an export")
    });
    requests
        .flat_map(|request| request.resource_spans)
        .flat_map(|resource| resource.scope_spans)
        .flat_map(|scope| scope.spans)
        .collect()
}

/// A system, and the collector that its spans go to.
async fn exporting() -> (System, Backend) {
    let collector = Backend::start(|_| Response::new(String::new())).await;
    let endpoint = format!("http://{}", collector.address);
    let system = System::with(DUO)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
        .start()
        .await;
    (system, collector)
}

#[tokio::test]
async fn calls_and_attempts_are_exported_as_one_trace() {
    const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
    const CALLER: &str = "b7ad6b7169203331";
    let (system, collector) = exporting().await;
    let ingress = system
        .ingress()
        .await
        .with("traceparent", &format!("00-{TRACE}-{CALLER}-01"));
    let answer = ingress.get("/call?to=back&path=/").await;
    let received = answer.echoed_header("traceparent");
    assert!(
        received.starts_with(&format!("00-{TRACE}-")),
        "the trace goes on: {received}"
    );

    // Two calls (ingress to front, front to back), an attempt of each.
    let all = eventually("four spans", async || {
        let spans: Vec<_> = spans(&collector)
            .into_iter()
            .filter(|span| hex(&span.trace_id) == TRACE)
            .collect();
        (spans.len() >= 4).then_some(spans)
    })
    .await;
    assert_eq!(all.len(), 4, "{all:#?}");
    let ids: BTreeSet<String> = all.iter().map(|span| hex(&span.span_id)).collect();
    assert_eq!(ids.len(), 4);
    let parents: Vec<String> = all.iter().map(|span| hex(&span.parent_span_id)).collect();
    let roots = parents.iter().filter(|parent| *parent == CALLER).count();
    assert_eq!(roots, 1, "one call belongs to the client: {parents:?}");
    assert_eq!(
        parents.iter().filter(|parent| ids.contains(*parent)).count(),
        3,
        "{parents:?}"
    );
    let last = received.split('-').nth(2).expect("a span");
    assert!(ids.contains(last), "the callee was told the span of its attempt");
    assert!(
        all.iter()
            .all(|span| span.end_time_unix_nano >= span.start_time_unix_nano)
    );
}

#[tokio::test]
async fn spans_of_the_last_calls_are_not_lost_at_the_end() {
    let (system, collector) = exporting().await;
    assert_eq!(system.ingress().await.get("/last").await.status, 200);
    assert_eq!(system.interrupt().await.code(), Some(0));
    assert!(!spans(&collector).is_empty());
}

#[tokio::test]
async fn a_collector_that_is_away_harms_nobody() {
    let system = System::with(DUO)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.1:9")
        .start()
        .await;
    for _ in 0..100 {
        assert_eq!(system.ingress().await.get("/").await.status, 200);
    }
    assert_eq!(system.interrupt().await.code(), Some(0));
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}
