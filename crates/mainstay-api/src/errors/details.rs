//! `google.rpc` error details: what a gRPC client can read of an error beside its code and message.

use std::collections::HashMap;

use bytes::Bytes;
use dapr::google::rpc;
use prost::Message;
use prost_types::{Any, Duration};
use tonic::{Code, Status};

/// The domain of Dapr's error details, kept for ours too: clients look for it.
pub(super) const DOMAIN: &str = "dapr.io";

/// `google.rpc.ErrorInfo`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct ErrorInfo {
    #[prost(string, tag = "1")]
    pub(crate) reason: String,
    #[prost(string, tag = "2")]
    pub(crate) domain: String,
    #[prost(map = "string, string", tag = "3")]
    pub(crate) metadata: HashMap<String, String>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    pub(crate) retry_delay: Option<Duration>,
}

/// `google.rpc.ResourceInfo`.
#[derive(Clone, PartialEq, Message)]
struct ResourceInfo {
    #[prost(string, tag = "1")]
    resource_type: String,
    #[prost(string, tag = "2")]
    resource_name: String,
}

/// `google.rpc.BadRequest`.
#[derive(Clone, PartialEq, Message)]
struct BadRequest {
    #[prost(message, repeated, tag = "1")]
    field_violations: Vec<FieldViolation>,
}

/// `google.rpc.BadRequest.FieldViolation`.
#[derive(Clone, PartialEq, Message)]
struct FieldViolation {
    #[prost(string, tag = "1")]
    field: String,
    #[prost(string, tag = "2")]
    description: String,
}

/// An `ErrorInfo` with this reason.
pub(crate) fn error_info<'a>(reason: &str, metadata: impl IntoIterator<Item = (&'a str, String)>) -> Any {
    let info = ErrorInfo {
        reason: reason.to_owned(),
        domain: DOMAIN.to_owned(),
        metadata: metadata
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value))
            .collect(),
    };
    any("ErrorInfo", &info)
}

/// A `ResourceInfo` about the thing of this kind and name.
pub(crate) fn resource_info(kind: &str, name: &str) -> Any {
    let info = ResourceInfo {
        resource_type: kind.to_owned(),
        resource_name: name.to_owned(),
    };
    any("ResourceInfo", &info)
}

/// A `BadRequest` about one field.
pub(crate) fn bad_request(field: &str, description: &str) -> Any {
    let violation = FieldViolation {
        field: field.to_owned(),
        description: description.to_owned(),
    };
    let field_violations = vec![violation];
    any("BadRequest", &BadRequest { field_violations })
}

/// A `RetryInfo` with this delay.
pub(crate) fn retry_info(after: std::time::Duration) -> Any {
    let info = RetryInfo {
        retry_delay: Duration::try_from(after).ok(),
    };
    any("RetryInfo", &info)
}

fn any(name: &str, message: &impl Message) -> Any {
    Any {
        type_url: format!("type.googleapis.com/google.rpc.{name}"),
        value: message.encode_to_vec(),
    }
}

/// A status that carries `details` in `grpc-status-details-bin`.
pub(crate) fn status(code: Code, message: String, details: Vec<Any>) -> Status {
    let rich = rpc::Status {
        code: i32::from(code),
        message: message.clone(),
        details,
    };
    Status::with_details(code, message, Bytes::from(rich.encode_to_vec()))
}
