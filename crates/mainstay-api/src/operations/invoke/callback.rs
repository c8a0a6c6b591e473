//! Invocation of a gRPC app: `AppCallback.OnInvoke`.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use bytes::Bytes;
use dapr::dapr::proto::common::v1::http_extension::Verb;
use dapr::dapr::proto::common::v1::{HttpExtension, InvokeRequest, InvokeResponse};
use http::header::CONTENT_TYPE;
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use mainstay_mesh::{Body, CallError, Protocol, Target};
use prost_types::Any;
use serde::Serialize;
use tonic::Status;
use tonic::metadata::MetadataMap;
use tonic_prost::ProstCodec;

use super::headers;
use super::{InvokeError, Invoker};
use crate::http::path::{self, Plus};
use crate::{body, errors, reply};

const ON_INVOKE: PathAndQuery = PathAndQuery::from_static("/dapr.proto.runtime.v1.AppCallback/OnInvoke");
/// How the mesh marks an answer that is a fallback.
const FALLBACK: HeaderName = HeaderName::from_static("mainstay-fallback");
/// What Dapr calls the content of a message with a type.
pub(super) const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// An error of gRPC in JSON, as protobuf writes it.
#[derive(Serialize)]
struct StatusBody<'a> {
    code: i32,
    #[serde(skip_serializing_if = "str::is_empty")]
    message: &'a str,
}

impl Invoker {
    /// Hands an HTTP request to a gRPC app and tells its answer in HTTP.
    pub(crate) async fn http_to_callback(
        &self,
        target: Target,
        request: Request<Body>,
    ) -> Result<Response<Body>, InvokeError> {
        let (head, body) = request.into_parts();
        let body = body::read(body, self.limits.body_bytes, self.limits.body_timeout).await?;
        let metadata = headers::http_to_metadata(&head.headers);
        match self.on_invoke(target, message_of(&head, body), metadata).await? {
            Answer::Fixed(response) => Ok(response),
            Answer::App(Ok(answer)) => Ok(http_of(answer)),
            Answer::App(Err(status)) => {
                let body = StatusBody {
                    code: i32::from(status.code()),
                    message: status.message(),
                };
                let mut response = reply::json(errors::http_status(status.code()), &body);
                let metadata = status.metadata().clone().into_headers();
                response
                    .headers_mut()
                    .extend(headers::metadata_to_http(&metadata));
                Ok(response)
            }
        }
    }

    /// Calls `OnInvoke`: what the app answers, its errors included, is `Ok`; so is a fallback.
    pub(super) async fn on_invoke(
        &self,
        target: Target,
        message: InvokeRequest,
        metadata: HeaderMap,
    ) -> Result<Answer, CallError> {
        let fixed = Arc::new(Mutex::new(None));
        let mut client = tonic::client::Grpc::new(Channel {
            invoker: self.clone(),
            target,
            fixed: Arc::clone(&fixed),
        })
        .max_decoding_message_size(self.limits.body_bytes)
        .max_encoding_message_size(self.limits.body_bytes);
        let mut request = tonic::Request::new(message);
        *request.metadata_mut() = MetadataMap::from_headers(metadata);
        let answer = client.unary(request, ON_INVOKE, ProstCodec::default()).await;
        if let Some(response) = fixed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Ok(Answer::Fixed(response));
        }
        match answer {
            Ok(answer) => Ok(Answer::App(Ok(answer))),
            Err(status) => match call_error(&status) {
                Some(error) => Err(error.clone()),
                None => Ok(Answer::App(Err(status))),
            },
        }
    }
}

fn call_error(status: &Status) -> Option<&CallError> {
    match std::error::Error::source(status)?.downcast_ref()? {
        NoAnswer::Failed(error) => Some(error),
        NoAnswer::Fixed => None,
    }
}

fn message_of(head: &http::request::Parts, body: Bytes) -> InvokeRequest {
    // It was decoded before; that it can be decoded again is a matter of course.
    let path = path::decode(head.uri.path().as_bytes(), Plus::Literal).unwrap_or_default();
    let method = String::from_utf8_lossy(path.strip_prefix(b"/").unwrap_or(&path)).into_owned();
    let content_type = head.headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    InvokeRequest {
        method,
        data: Some(Any {
            type_url: String::new(),
            value: body.into(),
        }),
        content_type: String::from_utf8_lossy(content_type.unwrap_or_default()).into_owned(),
        http_extension: Some(HttpExtension {
            verb: i32::from(verb_of(&head.method)),
            querystring: head.uri.query().unwrap_or_default().to_owned(),
        }),
    }
}

/// The verb for a method; POST for one that Dapr does not know.
fn verb_of(method: &Method) -> Verb {
    Verb::from_str_name(method.as_str()).unwrap_or(Verb::Post)
}

fn http_of(answer: tonic::Response<InvokeResponse>) -> Response<Body> {
    let (metadata, message, _) = answer.into_parts();
    let data = message.data.unwrap_or_default();
    let content_type = if data.type_url.is_empty() {
        HeaderValue::try_from(message.content_type).ok()
    } else {
        Some(PROTOBUF)
    };
    let mut response = Response::new(Body::full(data.value));
    *response.status_mut() = StatusCode::OK;
    *response.headers_mut() = headers::metadata_to_http(&metadata.into_headers());
    if let Some(content_type) = content_type.filter(|value| !value.is_empty()) {
        response.headers_mut().insert(CONTENT_TYPE, content_type);
    }
    response
}

/// What comes of `OnInvoke`.
pub(super) enum Answer {
    /// The app's own answer.
    App(Result<tonic::Response<InvokeResponse>, Status>),
    /// The fixed answer of the edge's fallback; it is made for HTTP.
    Fixed(Response<Body>),
}

/// Why tonic gets no answer to read.
#[derive(Debug, thiserror::Error)]
enum NoAnswer {
    #[error(transparent)]
    Failed(CallError),
    #[error("the fallback answers")]
    Fixed,
}

/// The data plane as tonic wants it.
struct Channel {
    invoker: Invoker,
    target: Target,
    /// Takes a fixed answer past tonic, which could not read it.
    fixed: Arc<Mutex<Option<Response<Body>>>>,
}

impl tower_service::Service<Request<tonic::body::Body>> for Channel {
    type Response = Response<Body>;
    type Error = NoAnswer;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, NoAnswer>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), NoAnswer>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<tonic::body::Body>) -> Self::Future {
        let request = request.map(Body::boxed);
        let mut call = self.invoker.to_call(self.target.clone(), request, Protocol::Grpc);
        call.takes_fixed_answer = true;
        let mesh = self.invoker.mesh.clone();
        let fixed = Arc::clone(&self.fixed);
        Box::pin(async move {
            let response = mesh.call(call).await.map_err(NoAnswer::Failed)?;
            if response
                .headers()
                .get(&FALLBACK)
                .is_none_or(|mark| mark != "static")
            {
                return Ok(response);
            }
            *fixed.lock().unwrap_or_else(PoisonError::into_inner) = Some(response);
            Err(NoAnswer::Fixed)
        })
    }
}
