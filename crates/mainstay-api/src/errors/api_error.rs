//! An error of a building block, told over HTTP and over gRPC from one value.

use std::time::Duration;

use http::header::RETRY_AFTER;
use http::{HeaderValue, Response, StatusCode};
use mainstay_base::ErrorKind;
use mainstay_mesh::Body;
use serde_json::{Value, json};
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use super::details::{self, DOMAIN};
use super::whole_seconds;
use crate::reply;

/// When to come back to a component that has too much to do.
const COME_BACK: Duration = Duration::from_secs(1);

/// What a client is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    status: StatusCode,
    grpc: Code,
    code: &'static str,
    message: String,
    details: Vec<Detail>,
    /// Dapr's older errors have their details in gRPC only.
    plain_in_http: bool,
    retry_after: Option<Duration>,
}

/// What is told beside code and message, in the terms of `google.rpc`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// `ErrorInfo`: the reason, and what belongs to it; null in JSON when there is nothing.
    Info(&'static str, Vec<(String, String)>),
    /// `ResourceInfo`: a kind of thing and its name.
    Resource(&'static str, String),
    /// `BadRequest`: a field and what is wrong with it.
    Violation(String, String),
}

impl ApiError {
    /// An error with a status for HTTP, one for gRPC, and Dapr's code.
    pub(crate) fn new(
        status: StatusCode,
        grpc: Code,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self {
            status,
            grpc,
            code,
            message: message.into(),
            details: Vec::new(),
            plain_in_http: false,
            retry_after: None,
        }
    }

    /// What Dapr makes of most errors: an `ErrorInfo` with its code, which only gRPC shows.
    pub(crate) fn basic(
        status: StatusCode,
        grpc: Code,
        code: &'static str,
        message: impl Into<String>,
    ) -> Self {
        let mut error = Self::new(status, grpc, code, message).detail(Detail::Info(code, Vec::new()));
        error.plain_in_http = true;
        error
    }

    /// A request that does not make sense: 400.
    pub(crate) fn malformed(message: impl Into<String>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            Code::InvalidArgument,
            "ERR_MALFORMED_REQUEST",
            message,
        )
    }

    /// With one more detail.
    pub(crate) fn detail(mut self, detail: Detail) -> Self {
        self.details.push(detail);
        self
    }

    /// With the time after which to come back, when what was asked has too much to do.
    pub(crate) fn overload(mut self, kind: ErrorKind) -> Self {
        self.retry_after = (kind == ErrorKind::Overloaded).then_some(COME_BACK);
        self
    }

    /// The answer in HTTP.
    pub(crate) fn response(&self) -> Response<Body> {
        let mut body = json!({ "errorCode": self.code, "message": self.message });
        if !self.plain_in_http
            && !self.details.is_empty()
            && let Some(fields) = body.as_object_mut()
        {
            fields.insert(
                "details".to_owned(),
                self.details.iter().map(Detail::json).collect(),
            );
        }
        let mut response = reply::json(self.status, &body);
        if let Some(after) = self.retry_after {
            response
                .headers_mut()
                .insert(RETRY_AFTER, HeaderValue::from(whole_seconds(after)));
        }
        response
    }

    /// The answer in gRPC.
    pub(crate) fn status(&self) -> Status {
        let retry = self.retry_after.map(details::retry_info);
        let details = self.details.iter().map(Detail::message).chain(retry).collect();
        let mut status = details::status(self.grpc, self.message.clone(), details);
        if let Some(after) = self.retry_after {
            let millis = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
            status
                .metadata_mut()
                .insert("grpc-retry-pushback-ms", MetadataValue::from(millis));
        }
        status
    }
}

/// The statuses of what Dapr's components do not know and ours do.
pub(super) const fn statuses(kind: ErrorKind) -> (StatusCode, Code) {
    match kind {
        ErrorKind::InvalidArgument => (StatusCode::BAD_REQUEST, Code::InvalidArgument),
        ErrorKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, Code::InvalidArgument),
        ErrorKind::NotFound => (StatusCode::NOT_FOUND, Code::NotFound),
        ErrorKind::PermissionDenied => (StatusCode::FORBIDDEN, Code::PermissionDenied),
        ErrorKind::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, Code::ResourceExhausted),
        ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable),
        ErrorKind::DeadlineExceeded => (StatusCode::GATEWAY_TIMEOUT, Code::DeadlineExceeded),
        // As Dapr tells everything that goes wrong in a component.
        ErrorKind::FailedPrecondition
        | ErrorKind::Unauthenticated
        | ErrorKind::Cancelled
        | ErrorKind::Unimplemented
        | ErrorKind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, Code::Internal),
    }
}

impl From<ApiError> for Status {
    fn from(error: ApiError) -> Self {
        error.status()
    }
}

impl Detail {
    /// As `dapr/kit` writes it.
    fn json(&self) -> Value {
        let name = |name: &str| format!("type.googleapis.com/google.rpc.{name}");
        match self {
            Self::Info(reason, metadata) => {
                let metadata = metadata.iter();
                let metadata: serde_json::Map<_, _> = metadata
                    .map(|(key, value)| (key.clone(), value.as_str().into()))
                    .collect();
                let metadata = (!metadata.is_empty()).then_some(metadata);
                json!({ "@type": name("ErrorInfo"), "domain": DOMAIN, "metadata": metadata, "reason": reason })
            }
            Self::Resource(kind, resource) => json!({
                "@type": name("ResourceInfo"), "description": "", "owner": "",
                "resource_name": resource, "resource_type": kind,
            }),
            Self::Violation(field, description) => json!({
                "@type": name("BadRequest"),
                "field_violations": [{ "field": field, "description": description }],
            }),
        }
    }

    fn message(&self) -> prost_types::Any {
        match self {
            Self::Info(reason, metadata) => details::error_info(
                reason,
                metadata.iter().map(|(key, value)| (key.as_str(), value.clone())),
            ),
            Self::Resource(kind, name) => details::resource_info(kind, name),
            Self::Violation(field, description) => details::bad_request(field, description),
        }
    }
}
