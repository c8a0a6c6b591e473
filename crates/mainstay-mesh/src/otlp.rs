//! Spans in OTLP's words.

use std::collections::HashMap;

use mainstay_base::AppId;
use mainstay_policy::Outcome;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span as OtlpSpan, Status as OtlpStatus,
};

use crate::edge::Edge;
use crate::judge::Status;
use crate::span::{Span, SpanOf, Spans};

/// The service whose span it is: a call is its caller's, an attempt its callee's, so that an app without any telemetry of
/// its own has a place in the trace.
fn service<'a>(span: &Span, edge: &'a Edge) -> &'a AppId {
    match span.of {
        SpanOf::Attempt { .. } => &edge.config.target,
        SpanOf::Call { .. } | SpanOf::Nothing => &edge.config.caller,
    }
}

/// The message that delivers `batch`.
pub(crate) fn request(spans: &Spans, batch: &[Box<Span>]) -> ExportTraceServiceRequest {
    let mut services: HashMap<&AppId, Vec<OtlpSpan>> = HashMap::new();
    for span in batch {
        if let Some(edge) = span.edge.as_deref() {
            let of_service = services.entry(service(span, edge)).or_default();
            of_service.push(otlp_span(spans, span, edge));
        }
    }
    let resource_spans = |(service, spans): (&AppId, Vec<OtlpSpan>)| ResourceSpans {
        resource: Some(Resource {
            attributes: vec![text("service.name", service.as_str())],
            ..Resource::default()
        }),
        scope_spans: vec![ScopeSpans {
            scope: Some(InstrumentationScope {
                name: "mainstay".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                ..InstrumentationScope::default()
            }),
            spans,
            ..ScopeSpans::default()
        }],
        ..ResourceSpans::default()
    };
    ExportTraceServiceRequest {
        resource_spans: services.into_iter().map(resource_spans).collect(),
    }
}

fn otlp_span(spans: &Spans, span: &Span, edge: &Edge) -> OtlpSpan {
    let target = edge.config.target.as_str();
    let mut attributes = vec![
        text("mainstay.edge", &format!("{}->{target}", edge.config.caller)),
        text("mainstay.outcome", span.outcome.map_or("unknown", outcome_word)),
    ];
    match span.status {
        Some(Status::Http(status)) => {
            attributes.push(number("http.response.status_code", i64::from(status.as_u16())));
        }
        Some(Status::Grpc(code)) => {
            attributes.push(text("rpc.system", "grpc"));
            attributes.push(number("rpc.grpc.status_code", i64::from(code)));
        }
        Some(Status::GrpcPending) => attributes.push(text("rpc.system", "grpc")),
        None => {}
    }
    if let Some(reason) = span.reason {
        attributes.push(text("mainstay.reason", reason.as_str()));
        attributes.push(text("error.type", reason.as_str()));
    }
    let (name, kind) = describe(span, target, &mut attributes);
    let failed = matches!(span.outcome, Some(Outcome::Failure | Outcome::Rejected));
    OtlpSpan {
        trace_id: span.trace.to_be_bytes().to_vec(),
        span_id: span.id.to_be_bytes().to_vec(),
        parent_span_id: span
            .parent
            .map_or_else(Vec::new, |parent| parent.to_be_bytes().to_vec()),
        name,
        kind: kind.into(),
        start_time_unix_nano: spans.unix_nanos(span.start),
        end_time_unix_nano: spans.unix_nanos(span.end),
        attributes,
        status: failed.then(|| OtlpStatus {
            code: StatusCode::Error.into(),
            message: span
                .reason
                .map_or_else(String::new, |reason| reason.as_str().to_owned()),
        }),
        ..OtlpSpan::default()
    }
}

/// Name and kind of a span; what only its kind has goes to `attributes`.
fn describe(span: &Span, target: &str, attributes: &mut Vec<KeyValue>) -> (String, SpanKind) {
    match &span.of {
        SpanOf::Call {
            method,
            path,
            fallback,
        } => {
            attributes.push(text("http.request.method", method.as_str()));
            // Without its query, which may hold secrets.
            attributes.push(text("url.path", path.as_ref().map_or("/", |path| path.path())));
            attributes.push(text("server.address", target));
            if *fallback {
                attributes.push(flag("mainstay.fallback"));
            }
            (format!("{method} {target}"), SpanKind::Client)
        }
        SpanOf::Attempt {
            number: count,
            replica,
        } => {
            attributes.push(number("mainstay.attempt", i64::from(*count)));
            attributes.push(text("service.instance.id", &replica.id.to_string()));
            attributes.push(text("server.address", replica.origin.authority.host()));
            if let Some(port) = replica.origin.authority.port_u16() {
                attributes.push(number("server.port", i64::from(port)));
            }
            (format!("{target} attempt {count}"), SpanKind::Server)
        }
        SpanOf::Nothing => (target.to_owned(), SpanKind::Internal),
    }
}

const fn outcome_word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Success => "success",
        Outcome::Slow => "slow",
        Outcome::Failure => "failure",
        Outcome::Rejected => "rejected",
        Outcome::Cancelled => "cancelled",
    }
}

fn text(key: &str, value: &str) -> KeyValue {
    attribute(key, Value::StringValue(value.to_owned()))
}

fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn flag(key: &str) -> KeyValue {
    attribute(key, Value::BoolValue(true))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}
