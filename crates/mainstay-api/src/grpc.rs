//! Dapr's gRPC API, and everything that goes through it to other services.

use std::sync::Arc;
use std::task::{Context, Poll};

use dapr::dapr::proto::runtime::v1 as runtime;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use http::{HeaderValue, Request, Response, Uri, Version};
use mainstay_mesh::{Body, Protocol};
use prost::Message;
use tonic::codegen::tokio_stream::Stream;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use crate::app::{API_TOKEN, App};
use crate::body::{self, BodyError};
use crate::errors;
use crate::http::target::{self, APP_ID};
use crate::metrics::{Refusal, ServerKind};
use crate::operations::metadata;
use crate::step::{Step, Told};

mod configuration;
mod lock;
mod runtime_metadata;
mod secrets;
mod state;

static CALLEE_APP_ID: HeaderName = HeaderName::from_static("dapr-callee-app-id");

const RUNTIME_SERVICE: &str = "/dapr.proto.runtime.v1.Dapr/";
/// The workflow engine's service; it has no package.
const WORKFLOW_SERVICE: &str = "/TaskHubSidecarService/";

/// Whether a request is for this API. Below `/v1.0` it is an HTTP invocation whose body happens to be gRPC.
pub(crate) fn is_for_us<B>(request: &Request<B>) -> bool {
    has_grpc_content(request) && !request.uri().path().starts_with("/v1.0")
}

/// Whether a request is gRPC: HTTP/2 and `application/grpc`, with or without a subtype (gRPC over HTTP/2, "Requests").
pub(crate) fn has_grpc_content<B>(request: &Request<B>) -> bool {
    let content_type = request.headers().get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    let subtype = content_type.and_then(|value| value.strip_prefix(b"application/grpc"));
    request.version() == Version::HTTP_2 && matches!(subtype, Some([] | [b'+' | b';', ..]))
}

/// Decides about one gRPC request.
pub(crate) fn decide(app: &Arc<App>, mut request: Request<Body>) -> Step {
    if let Err(status) = admit(app, request.headers()) {
        return Step::Answer(status.into_http());
    }
    request.headers_mut().remove(&API_TOKEN);
    let path = request.uri().path();
    if let Some(method) = path.strip_prefix(RUNTIME_SERVICE) {
        let (app, method) = (Arc::clone(app), method.to_owned());
        return Step::run(async move { serve(&app, &method, request).await });
    }
    let step = match path.strip_prefix(WORKFLOW_SERVICE) {
        Some(method) => Err(unimplemented(method)),
        None => proxy(app, request),
    };
    step.unwrap_or_else(|status| Step::Answer(status.into_http()))
}

fn admit(app: &App, metadata: &HeaderMap) -> Result<(), Status> {
    let Some(token) = &app.options.token else {
        return Ok(());
    };
    let refusal = match metadata.get(&API_TOKEN) {
        Some(shown) if token.matches(shown.as_bytes()) => return Ok(()),
        Some(_) => "authentication error: api token mismatch",
        None => "missing api token in request metadata",
    };
    app.options.metrics.refuse(ServerKind::App, Refusal::Unauthorized);
    Err(errors::unauthenticated(refusal))
}

/// Passes a call of any service and any kind of streaming on to the app that its metadata names.
fn proxy(app: &App, mut request: Request<Body>) -> Result<Step, Status> {
    let headers = request.headers_mut();
    let named = [headers.remove(&CALLEE_APP_ID), headers.remove(&APP_ID)];
    let id = named.into_iter().flatten().next().ok_or_else(|| {
        Status::unknown(
            "failed to proxy request: required metadata dapr-callee-app-id or dapr-app-id not found",
        )
    })?;
    let target = target::target(&String::from_utf8_lossy(id.as_bytes())).map_err(Status::unknown)?;
    if let Some(path) = request.uri().path_and_query().cloned() {
        *request.uri_mut() = Uri::from(path);
    }
    let call = app.invoker.to_call(target, request, Protocol::Grpc);
    let told = Told::Rpc;
    Ok(Step::Pass { call, told })
}

/// Answers a call of Dapr's own service.
async fn serve(app: &App, method: &str, request: Request<Body>) -> Response<Body> {
    let request = match state::serve(app, method, request).await {
        Ok(response) => return response,
        Err(request) => request,
    };
    let request = match lock::serve(app, method, request).await {
        Ok(response) => return response,
        Err(request) => request,
    };
    let request = match configuration::serve(app, method, request).await {
        Ok(response) => return response,
        Err(request) => request,
    };
    match secrets::serve(app, method, request).await {
        Ok(response) => response,
        Err(request) => serve_runtime(app, method, request).await,
    }
}

/// Answers a call that is about the runtime itself.
async fn serve_runtime(app: &App, method: &str, request: Request<Body>) -> Response<Body> {
    let options = &app.options;
    match method {
        "InvokeService" => {
            let invoke = |request: tonic::Request<runtime::InvokeServiceRequest>| async move {
                let (metadata, _, message) = request.into_parts();
                let inner = message.message.unwrap_or_default();
                let metadata = metadata.into_headers();
                app.invoker.message(&message.id, inner, &metadata).await
            };
            exchange(app, request, invoke).await
        }
        "GetMetadata" => {
            let get = |_: runtime::GetMetadataRequest| async move {
                let metadata = metadata::get(&options.app, &options.metadata, &options.blocks);
                Ok::<_, Status>(runtime_metadata::encode(metadata))
            };
            unary(app, request, get).await
        }
        "SetMetadata" => {
            let set = |note: runtime::SetMetadataRequest| async move {
                let written = options.metadata.notes.set(&note.key, note.value);
                written.map_err(|error| Status::resource_exhausted(error.to_string()))
            };
            unary(app, request, set).await
        }
        "Shutdown" => {
            let shutdown = |_: runtime::ShutdownRequest| async move {
                (options.shutdown)();
                Ok::<_, Status>(())
            };
            unary(app, request, shutdown).await
        }
        method => unimplemented(method).into_http(),
    }
}

fn unimplemented(method: &str) -> Status {
    Status::unimplemented(format!("Mainstay does not offer the method `{method}` yet"))
}

/// Decodes one message, calls `operation`, encodes its answer.
async fn unary<In, Out, E, F>(
    app: &App,
    request: Request<Body>,
    operation: impl Fn(In) -> F,
) -> Response<Body>
where
    In: Message + Default + Send + 'static,
    Out: Message + Default + Send + 'static,
    E: Into<Status>,
    F: Future<Output = Result<Out, E>> + Send,
{
    let operation = |request: tonic::Request<In>| {
        let answer = operation(request.into_inner());
        async move { answer.await.map(tonic::Response::new).map_err(Into::into) }
    };
    exchange(app, request, operation).await
}

/// [`unary`] for an operation that has to do with metadata.
async fn exchange<In, Out, F>(
    app: &App,
    request: Request<Body>,
    operation: impl Fn(tonic::Request<In>) -> F,
) -> Response<Body>
where
    In: Message + Default + Send + 'static,
    Out: Message + Default + Send + 'static,
    F: Future<Output = Result<tonic::Response<Out>, Status>> + Send,
{
    let request = match whole(app, request).await {
        Ok(request) => request,
        Err(status) => return status.into_http(),
    };
    let response = server::<In, Out>(app).unary(Operation(operation), request).await;
    response.map(Body::boxed)
}

/// Decodes one message, calls `operation`, encodes what its stream gives.
async fn streaming<In, Out, E, S, F>(
    app: &App,
    request: Request<Body>,
    operation: impl Fn(In) -> F,
) -> Response<Body>
where
    In: Message + Default + Send + 'static,
    Out: Message + Default + Send + 'static,
    E: Into<Status>,
    S: Stream<Item = Result<Out, Status>> + Send + 'static,
    F: Future<Output = Result<S, E>> + Send,
{
    let request = match whole(app, request).await {
        Ok(request) => request,
        Err(status) => return status.into_http(),
    };
    let operation = |request: tonic::Request<In>| {
        let answer = operation(request.into_inner());
        async move { answer.await.map(tonic::Response::new).map_err(Into::into) }
    };
    let mut server = server::<In, Out>(app);
    let response = server.server_streaming(Operation(operation), request).await;
    response.map(Body::boxed)
}

fn server<In, Out>(app: &App) -> tonic::server::Grpc<ProstCodec<Out, In>>
where
    In: Message + Default + Send + 'static,
    Out: Message + Default + Send + 'static,
{
    let limit_bytes = app.options.limits.body_bytes;
    tonic::server::Grpc::new(ProstCodec::default())
        .max_decoding_message_size(limit_bytes)
        .max_encoding_message_size(limit_bytes)
}

/// The request with its body read.
async fn whole(app: &App, request: Request<Body>) -> Result<Request<Body>, Status> {
    let limits = &app.options.limits;
    let (head, body) = request.into_parts();
    // The frame of a message is five bytes.
    match body::read(body, limits.body_bytes + 5, limits.body_timeout).await {
        Ok(bytes) => Ok(Request::from_parts(head, Body::full(bytes))),
        Err(error) => {
            app.options.metrics.refuse(ServerKind::App, Refusal::Body);
            let code = match error {
                BodyError::TooLarge(_) => Code::ResourceExhausted,
                BodyError::Timeout(_) => Code::DeadlineExceeded,
                BodyError::Broken(_) => Code::Cancelled,
            };
            Err(Status::new(code, error.to_string()))
        }
    }
}

/// A function as tonic wants it.
struct Operation<O>(O);

impl<O, F, In, Out> tower_service::Service<tonic::Request<In>> for Operation<O>
where
    O: Fn(tonic::Request<In>) -> F,
    F: Future<Output = Result<tonic::Response<Out>, Status>>,
{
    type Response = tonic::Response<Out>;
    type Error = Status;
    type Future = F;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Status>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: tonic::Request<In>) -> F {
        (self.0)(request)
    }
}
