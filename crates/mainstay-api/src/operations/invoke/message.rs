//! `InvokeService`: an invocation that comes as a message.

use dapr::dapr::proto::common::v1::http_extension::Verb;
use dapr::dapr::proto::common::v1::{InvokeRequest, InvokeResponse};
use http::header::{CONTENT_TYPE, HeaderName};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Method, Request, Response, Uri};
use mainstay_mesh::{Body, Protocol};
use prost_types::Any;
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use super::callback::{Answer, PROTOBUF};
use super::{InvokeError, Invoker, headers};
use crate::http::target;
use crate::{body, errors};

static HTTP_STATUS: HeaderName = HeaderName::from_static("dapr-http-status");

impl Invoker {
    /// Invokes `id` with a message and answers with one.
    pub(crate) async fn message(
        &self,
        id: &str,
        message: InvokeRequest,
        metadata: &HeaderMap,
    ) -> Result<tonic::Response<InvokeResponse>, Status> {
        match self.try_message(id, message, metadata).await {
            Ok(answer) => answer,
            Err(InvokeError::Call(error)) => Err(errors::invocation_status(id, &error)),
            Err(error @ (InvokeError::Body(_) | InvokeError::Invalid(_))) => {
                Err(Status::internal(errors::invocation_message(id, &error)))
            }
        }
    }

    /// The callee's own errors are `Ok`.
    async fn try_message(
        &self,
        id: &str,
        message: InvokeRequest,
        metadata: &HeaderMap,
    ) -> Result<Result<tonic::Response<InvokeResponse>, Status>, InvokeError> {
        let target = target::target(id).map_err(InvokeError::Invalid)?;
        // Checked for a gRPC app as well, which gets the method as it came.
        let path = |query| {
            target::path_and_query(message.method.as_bytes(), query)
                .map_err(|reason| invalid(&format!("invalid method: {reason}")))
        };
        if self.is_grpc_app(&target) {
            path(None)?;
            let metadata = metadata_of_caller(metadata);
            return match self.on_invoke(target, message, metadata).await? {
                Answer::App(answer) => Ok(answer),
                Answer::Fixed(response) => self.message_of_http(response).await,
            };
        }
        let extension = message.http_extension.as_ref();
        let extension = extension.ok_or_else(|| invalid("missing HTTP extension field"))?;
        let method = method_of(extension.verb()).ok_or_else(|| invalid("invalid HTTP verb"))?;
        let query = Some(extension.querystring.as_str()).filter(|query| !query.is_empty());
        let path = path(query)?;
        let request = request_of(method, path, message, metadata);
        let call = self.to_call(target, request, Protocol::Http);
        let response = self.mesh.call(call).await?;
        self.message_of_http(response).await
    }

    async fn message_of_http(
        &self,
        response: Response<Body>,
    ) -> Result<Result<tonic::Response<InvokeResponse>, Status>, InvokeError> {
        let (head, body) = response.into_parts();
        let body = body::read(body, self.limits.body_bytes, self.limits.body_timeout).await?;
        let mut metadata = headers::http_to_metadata(&head.headers);
        metadata.insert(&HTTP_STATUS, HeaderValue::from(head.status.as_u16()));
        let metadata = MetadataMap::from_headers(metadata);
        if errors::grpc_code(head.status) != Code::Ok {
            let mut status = errors::app_status(head.status, &body);
            *status.metadata_mut() = metadata;
            return Ok(Err(status));
        }
        let content_type = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
        let message = InvokeResponse {
            data: Some(Any {
                type_url: String::new(),
                value: body.into(),
            }),
            content_type: String::from_utf8_lossy(content_type.unwrap_or_default()).into_owned(),
        };
        let answer = tonic::Response::from_parts(metadata, message, http::Extensions::new());
        Ok(Ok(answer))
    }
}

/// A refusal in the words in which gRPC for Go tells it, which is what Dapr passes on.
fn invalid(reason: &str) -> InvokeError {
    InvokeError::Invalid(format!("rpc error: code = InvalidArgument desc = {reason}"))
}

fn method_of(verb: Verb) -> Option<Method> {
    match verb {
        Verb::None | Verb::Connect => None,
        verb => Method::from_bytes(verb.as_str_name().as_bytes()).ok(),
    }
}

/// What the caller's own gRPC library said to this hop is not for the next one.
fn metadata_of_caller(metadata: &HeaderMap) -> HeaderMap {
    let mut metadata = metadata.clone();
    for name in [
        "content-type",
        "content-length",
        "te",
        "grpc-encoding",
        "grpc-accept-encoding",
    ] {
        metadata.remove(name);
    }
    metadata
}

fn request_of(
    method: Method,
    path: PathAndQuery,
    message: InvokeRequest,
    metadata: &HeaderMap,
) -> Request<Body> {
    let data = message.data.unwrap_or_default();
    let content_type = if data.type_url.is_empty() {
        HeaderValue::try_from(message.content_type).ok()
    } else {
        Some(PROTOBUF)
    };
    let mut request = Request::new(Body::full(data.value));
    *request.method_mut() = method;
    *request.uri_mut() = Uri::from(path);
    *request.headers_mut() = headers::metadata_to_http(metadata);
    if let Some(content_type) = content_type.filter(|value| !value.is_empty()) {
        request.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    request
}
