//! Metrics and spans.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use mainstay_base::metric::{Collect, Descriptor, Histogram, Kind, Visitor};
use mainstay_mesh::{Body, Mesh, MeshOptions, TraceExport};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::sync::mpsc;

use crate::support::{App, PATIENCE, TestMesh, closed_port, get, text, topology};

/// Everything that was shown, by name and labels.
#[derive(Default)]
struct Shown {
    /// Counts and flags, all of them whole.
    values: BTreeMap<String, u64>,
    names: BTreeSet<&'static str>,
}

impl Shown {
    fn by(metrics: &dyn Collect) -> Self {
        let mut shown = Self::default();
        metrics.collect(&mut shown);
        shown
    }

    fn show(&mut self, descriptor: &'static Descriptor, labels: &[&str], value: f64) {
        assert_eq!(descriptor.labels.len(), labels.len(), "{}", descriptor.name);
        self.names.insert(descriptor.name);
        let key = format!("{}{labels:?}", descriptor.name);
        assert!(
            self.values.insert(key.clone(), value as u64).is_none(),
            "shown twice: {key}"
        );
    }
}

impl Visitor for Shown {
    fn value(&mut self, descriptor: &'static Descriptor, labels: &[&str], value: f64) {
        assert_ne!(descriptor.kind, Kind::Histogram);
        self.show(descriptor, labels, value);
    }

    fn histogram(&mut self, descriptor: &'static Descriptor, labels: &[&str], histogram: &Histogram) {
        assert_eq!(descriptor.kind, Kind::Histogram);
        self.show(descriptor, labels, histogram.counts().iter().sum::<u64>() as f64);
    }
}

#[tokio::test]
async fn the_metrics_are_those_of_the_table() {
    let app = App::fixed(200, "ok").await;
    let mesh = TestMesh::with_replicas(&[closed_port().await, app.address]);
    let metrics = mesh.mesh.metrics();
    let table: BTreeSet<_> = metrics
        .descriptors()
        .iter()
        .map(|descriptor| descriptor.name)
        .collect();
    assert_eq!(table.len(), metrics.descriptors().len(), "a name is used once");
    for _ in 0..5 {
        text(mesh.call(get("/")).await.unwrap()).await;
    }
    let shown = Shown::by(&*metrics);
    assert_eq!(shown.names, table);
    let edge = r#"["front", "back""#;
    assert_eq!(
        shown.values[&format!(r#"mainstay_calls_total{edge}, "success"]"#)],
        5
    );
    assert_eq!(shown.values[&format!("mainstay_call_duration_seconds{edge}]")], 5);
    assert_eq!(
        shown.values[&format!(r#"mainstay_breaker_state{edge}, "closed"]"#)],
        1
    );
    assert!(shown.values[&format!("mainstay_attempts_total{edge}]")] >= 5);
    assert_eq!(shown.values[r#"mainstay_in_flight["back", "2"]"#], 0);
}

/// A collector that hands out the messages it gets.
async fn collector(grpc: bool) -> (App, mpsc::UnboundedReceiver<ExportTraceServiceRequest>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let app = App::http(move |request| {
        let sender = sender.clone();
        async move {
            let path = request.uri().path().to_owned();
            let content_type = request.headers()["content-type"].clone();
            let mut body = request.into_body().collect().await.unwrap().to_bytes();
            let mut response = Response::new(Full::<Bytes>::default());
            if grpc {
                assert_eq!(
                    path,
                    "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
                );
                assert_eq!(content_type, "application/grpc");
                let _frame = body.split_to(5);
                response.headers_mut().insert("grpc-status", "0".parse().unwrap());
            } else {
                assert_eq!(path, "/v1/traces");
                assert_eq!(content_type, "application/x-protobuf");
            }
            sender
                .send(ExportTraceServiceRequest::decode(body).unwrap())
                .unwrap();
            response
        }
    })
    .await;
    (app, receiver)
}

fn traced(collector: &App, grpc: bool, ratio: f64) -> TestMesh {
    let export = TraceExport {
        endpoint: format!("http://{}", collector.address).parse().unwrap(),
        grpc,
        ratio,
    };
    let mesh = Mesh::start(MeshOptions {
        workers: 1,
        traces: Some(export),
    });
    let mesh = TestMesh { mesh: mesh.unwrap() };
    mesh.mesh.configure(topology());
    mesh
}

/// The spans of a message by the service they belong to.
fn by_service(message: ExportTraceServiceRequest) -> BTreeMap<String, Vec<Span>> {
    let services = message.resource_spans.into_iter().map(|resource_spans| {
        let resource = resource_spans.resource.unwrap();
        let name = resource
            .attributes
            .into_iter()
            .find(|attribute| attribute.key == "service.name");
        let spans = resource_spans
            .scope_spans
            .into_iter()
            .flat_map(|scope| scope.spans);
        (string(name.unwrap().value.unwrap().value), spans.collect())
    });
    services.collect()
}

fn string(value: Option<Value>) -> String {
    match value.unwrap() {
        Value::StringValue(text) => text,
        Value::IntValue(number) => number.to_string(),
        Value::BoolValue(flag) => flag.to_string(),
        other => panic!("{other:?}"),
    }
}

fn attribute(span: &Span, key: &str) -> Option<String> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    Some(string(found.value.clone().unwrap().value))
}

async fn check_export(grpc: bool) {
    let (collector, mut messages) = collector(grpc).await;
    let bad = App::fixed(500, "bad").await;
    let mesh = traced(&collector, grpc, 1.0);
    mesh.set_replicas("back", &[bad.address]);
    let request = Request::get("/orders?secret=1")
        .header(
            "traceparent",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        )
        .body(Body::empty());
    text(mesh.call(request.unwrap()).await.unwrap()).await;
    let message = tokio::time::timeout(PATIENCE, messages.recv())
        .await
        .unwrap()
        .unwrap();
    let services = by_service(message);
    let [call] = &services["front"][..] else {
        panic!("{services:?}")
    };
    assert_eq!(
        call.trace_id,
        0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128.to_be_bytes()
    );
    assert_eq!(call.parent_span_id, 0x00f0_67aa_0ba9_02b7_u64.to_be_bytes());
    assert_eq!(call.name, "GET back");
    assert_eq!(attribute(call, "url.path").unwrap(), "/orders");
    assert_eq!(attribute(call, "http.response.status_code").unwrap(), "500");
    assert_eq!(attribute(call, "mainstay.edge").unwrap(), "front->back");
    assert!(call.end_time_unix_nano >= call.start_time_unix_nano);
    let mut attempts = services["back"].clone();
    attempts.sort_by_key(|attempt| attempt.start_time_unix_nano);
    assert_eq!(attempts.len(), 3);
    for (number, attempt) in (1..).zip(&attempts) {
        assert_eq!(attempt.parent_span_id, call.span_id);
        assert_eq!(
            attribute(attempt, "mainstay.attempt").unwrap(),
            number.to_string()
        );
        assert_eq!(attribute(attempt, "service.instance.id").unwrap(), "back-1");
        assert_eq!(attempt.status.as_ref().unwrap().code, 2);
    }
}

#[tokio::test]
async fn spans_reach_a_collector_over_http() {
    check_export(false).await;
}

#[tokio::test]
async fn spans_reach_a_collector_over_grpc() {
    check_export(true).await;
}

#[tokio::test]
async fn a_caller_decides_what_is_recorded() {
    let (collector, mut messages) = collector(false).await;
    let app = App::fixed(200, "ok").await;
    let mesh = traced(&collector, false, 0.0);
    mesh.set_replicas("back", &[app.address]);
    // Nothing of new traces, nothing of what the caller left out, all of what it recorded.
    for flags in [None, Some("00"), Some("01")] {
        let mut request = get("/");
        if let Some(flags) = flags {
            let context = format!("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-{flags}");
            request
                .headers_mut()
                .insert("traceparent", context.parse().unwrap());
        }
        text(mesh.call(request).await.unwrap()).await;
    }
    mesh.mesh.stop(PATIENCE).await;
    let services = by_service(messages.recv().await.unwrap());
    assert_eq!((services["front"].len(), services["back"].len()), (1, 1));
    assert!(messages.try_recv().is_err());
}

#[tokio::test]
async fn spans_without_a_collector_are_counted_and_forgotten() {
    let app = App::fixed(200, "ok").await;
    let export = TraceExport {
        endpoint: format!("http://{}", closed_port().await).parse().unwrap(),
        grpc: false,
        ratio: 1.0,
    };
    let mesh = Mesh::start(MeshOptions {
        workers: 1,
        traces: Some(export),
    });
    let mesh = TestMesh { mesh: mesh.unwrap() };
    mesh.mesh.configure(topology());
    mesh.set_replicas("back", &[app.address]);
    text(mesh.call(get("/")).await.unwrap()).await;
    mesh.mesh.stop(PATIENCE).await;
    let shown = Shown::by(&*mesh.mesh.metrics());
    assert_eq!(shown.values["mainstay_spans_dropped_total[]"], 2);
}
