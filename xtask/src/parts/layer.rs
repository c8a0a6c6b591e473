//! A service that calls the next one and passes its answer on, with a naive retry of its own where that is asked for.

use std::sync::Arc;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt, Empty, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};

/// What a well-behaved service passes on: where the call stands in its trace, how long it may take, how much it matters.
const PASSED_ON: [HeaderName; 4] = [
    HeaderName::from_static("traceparent"),
    HeaderName::from_static("tracestate"),
    HeaderName::from_static("grpc-timeout"),
    HeaderName::from_static("mainstay-priority"),
];

/// Whom it calls and how.
#[derive(clap::Args)]
pub(crate) struct Options {
    /// URL of the next one.
    #[arg(long, required_unless_present = "invoke")]
    next: Option<Uri>,
    /// The next one is this app, called through the Dapr API of the environment.
    #[arg(long, conflicts_with = "next")]
    invoke: Option<String>,
    /// How often it calls at most; it calls again at once after any answer from 500 up.
    #[arg(long, default_value_t = 1)]
    attempts: u32,
}

struct Layer {
    client: Client<HttpConnector, Empty<Bytes>>,
    next: Uri,
    token: Option<HeaderValue>,
    attempts: u32,
}

pub(super) async fn serve(options: Options) -> Result<()> {
    let next = match (options.next, options.invoke) {
        (Some(next), _) => next,
        (None, app) => {
            let port =
                std::env::var("DAPR_HTTP_PORT").context("DAPR_HTTP_PORT says where the Dapr API is")?;
            format!(
                "http://127.0.0.1:{port}/v1.0/invoke/{}/method/work",
                app.unwrap_or_default()
            )
            .parse()?
        }
    };
    let token = std::env::var("DAPR_API_TOKEN")
        .ok()
        .map(HeaderValue::try_from)
        .transpose()?;
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client = Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .build(connector);
    let layer = Arc::new(Layer {
        client,
        next,
        token,
        attempts: options.attempts,
    });
    super::server::serve(move |request| answer(request, Arc::clone(&layer))).await
}

async fn answer(request: Request<Incoming>, layer: Arc<Layer>) -> Response<Full<Bytes>> {
    if request.uri().path().ends_with("/health") {
        return Response::new(Full::new(Bytes::new()));
    }
    let mut attempt = 1;
    loop {
        let response = layer.call(request.headers()).await;
        if attempt >= layer.attempts || !response.status().is_server_error() {
            return response;
        }
        attempt += 1;
    }
}

impl Layer {
    async fn call(&self, received: &HeaderMap) -> Response<Full<Bytes>> {
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = self.next.clone();
        for name in &PASSED_ON {
            if let Some(value) = received.get(name) {
                request.headers_mut().insert(name, value.clone());
            }
        }
        if let Some(token) = &self.token {
            request.headers_mut().insert("dapr-api-token", token.clone());
        }
        let mut answer = Response::new(Full::new(Bytes::new()));
        *answer.status_mut() = StatusCode::BAD_GATEWAY;
        let Ok(response) = self.client.request(request).await else {
            return answer;
        };
        let (head, body) = response.into_parts();
        let Ok(body) = body.collect().await else {
            return answer;
        };
        *answer.status_mut() = head.status;
        if let Some(mark) = head.headers.get("mainstay-fallback") {
            answer.headers_mut().insert("mainstay-fallback", mark.clone());
        }
        *answer.body_mut() = Full::new(body.to_bytes());
        answer
    }
}
