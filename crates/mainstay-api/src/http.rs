//! Dapr's HTTP API: routes, decoding, encoding.

mod configuration;
mod lock;
pub(crate) mod path;
pub(crate) mod query;
pub(crate) mod route;
mod secrets;
mod state;
pub(crate) mod target;
mod unconfigured;

use std::sync::Arc;

use http::{Method, Request, Response, StatusCode, Uri};
use mainstay_mesh::{Body, Protocol, Target};

use self::query::Parameters;
use self::route::Route;
use self::target::{APP_ID, InvalidInvocation, Invocation};
use crate::app::{API_TOKEN, App};
use crate::metrics::{Refusal, ServerKind};
use crate::operations::invoke::InvokeError;
use crate::operations::metadata;
use crate::step::{Step, Told};
use crate::{errors, reply};

/// Decides about one request on the Dapr API.
pub(crate) fn decide(app: &Arc<App>, mut request: Request<Body>) -> Step {
    let route = Route::of(request.method(), request.uri().path());
    let open = route.as_ref().is_ok_and(Route::is_open);
    if !open && !app.admits(request.headers()) {
        app.options.metrics.refuse(ServerKind::App, Refusal::Unauthorized);
        return Step::Answer(reply::text(StatusCode::UNAUTHORIZED, "invalid api token\n"));
    }
    request.headers_mut().remove(&API_TOKEN);
    match route {
        Ok(Route::Invoke) => invoke(app, request),
        Ok(route) => fixed(app, route, request),
        Err(error) => {
            let message = format!("failed to unescape request parameter: {error}");
            Step::Answer(reply::problem(
                StatusCode::BAD_REQUEST,
                "ERR_BAD_REQUEST",
                message,
            ))
        }
    }
}

/// Passes a request on to the app it names.
fn invoke(app: &Arc<App>, mut request: Request<Body>) -> Step {
    let uri = request.uri();
    let invocation = match target::decode(uri.path(), uri.query(), request.headers()) {
        Ok(invocation) => invocation,
        Err(error) => return Step::Answer(invalid_invocation(app, &error)),
    };
    let Invocation {
        id,
        target,
        path_and_query,
    } = invocation;
    if request.method() == Method::CONNECT {
        let reason = "rpc error: code = InvalidArgument desc = invalid HTTP verb".to_owned();
        let error = InvalidInvocation::Invalid { id, reason };
        return Step::Answer(invalid_invocation(app, &error));
    }
    *request.uri_mut() = Uri::from(path_and_query);
    request.headers_mut().remove(&APP_ID);
    if app.invoker.is_grpc_app(&target) {
        let app = Arc::clone(app);
        return Step::run(async move { invoke_callback(&app, id, target, request).await });
    }
    if let Some(cache) = app.cache_of(&target) {
        let (invoker, cache) = (app.invoker.clone(), cache.clone());
        return Step::run(async move {
            let answer = invoker.call_cached(&cache, target, request).await;
            answer.unwrap_or_else(|error| errors::invocation_failed(&id, &error))
        });
    }
    let call = app.invoker.to_call(target, request, Protocol::Http);
    let told = Told::Invocation(id);
    Step::Pass { call, told }
}

/// Hands a request to a gRPC app as a message.
async fn invoke_callback(app: &App, id: String, target: Target, request: Request<Body>) -> Response<Body> {
    match app.invoker.http_to_callback(target, request).await {
        Ok(response) => response,
        Err(InvokeError::Call(error)) => errors::invocation_failed(&id, &error),
        Err(InvokeError::Body(error)) => {
            app.options.metrics.refuse(ServerKind::App, Refusal::Body);
            error.answer()
        }
        Err(InvokeError::Invalid(reason)) => {
            invalid_invocation(app, &InvalidInvocation::Invalid { id, reason })
        }
    }
}

fn invalid_invocation(app: &App, error: &InvalidInvocation) -> Response<Body> {
    let (status, code) = match error {
        InvalidInvocation::NoAppId => {
            app.options.metrics.refuse(ServerKind::App, Refusal::NoRoute);
            (StatusCode::NOT_FOUND, errors::DIRECT_INVOKE)
        }
        InvalidInvocation::Escape(_) => (StatusCode::BAD_REQUEST, "ERR_BAD_REQUEST"),
        InvalidInvocation::Invalid { .. } => (StatusCode::INTERNAL_SERVER_ERROR, errors::DIRECT_INVOKE),
    };
    reply::problem(status, code, error.to_string())
}

/// Answers a request of a fixed route.
fn fixed(app: &Arc<App>, route: Route, request: Request<Body>) -> Step {
    let options = &app.options;
    let answer = match route {
        Route::Healthz => healthz(app, request.uri().query()),
        Route::Metadata => {
            let metadata = metadata::get(&options.app, &options.metadata, &options.blocks);
            reply::json(StatusCode::OK, &metadata)
        }
        Route::SetMetadata(key) => {
            let app = Arc::clone(app);
            return Step::run(async move { set_metadata(&app, &key, request.into_body()).await });
        }
        Route::Shutdown => {
            (options.shutdown)();
            reply::empty(StatusCode::NO_CONTENT)
        }
        Route::Configuration(route) => {
            let query = request.uri().query().map(str::to_owned);
            return Step::run(configuration::serve(Arc::clone(app), route, query));
        }
        Route::Lock(route) => return Step::run(lock::serve(Arc::clone(app), route, request)),
        Route::Secrets(route) => return Step::run(secrets::serve(Arc::clone(app), route)),
        Route::State(route) => return Step::run(state::serve(Arc::clone(app), route, request)),
        Route::Unconfigured(block) => block.answer(request.uri().query()),
        // Whatever is called through us can be called as soon as this is served.
        Route::HealthzOutbound | Route::Invoke => reply::empty(StatusCode::NO_CONTENT),
    };
    Step::Answer(answer)
}

fn healthz(app: &App, query: Option<&str>) -> Response<Body> {
    let failed = |code, message: &str| reply::problem(StatusCode::INTERNAL_SERVER_ERROR, code, message);
    if !(app.options.ready)() {
        return failed("ERR_HEALTH_NOT_READY", "dapr is not ready: [app]");
    }
    match Parameters::of(query).get("appid") {
        Some(id) if id != app.options.app.as_str() => {
            failed("ERR_HEALTH_APPID_NOT_MATCH", "dapr app-id does not match")
        }
        _ => reply::empty(StatusCode::NO_CONTENT),
    }
}

async fn set_metadata(app: &App, key: &str, body: Body) -> Response<Body> {
    let value = match app.read(body).await {
        Ok(value) => String::from_utf8_lossy(&value).into_owned(),
        Err(answer) => return answer,
    };
    match app.options.metadata.notes.set(key, value) {
        Ok(()) => reply::empty(StatusCode::NO_CONTENT),
        Err(error) => reply::problem(
            StatusCode::PAYLOAD_TOO_LARGE,
            "ERR_METADATA_TOO_LARGE",
            error.to_string(),
        ),
    }
}
