//! A gRPC service that answers with the message it got; also a collector that accepts everything.

use std::convert::Infallible;

use anyhow::Result;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

pub(super) async fn serve() -> Result<()> {
    super::server::serve(answer).await
}

async fn answer(request: Request<Incoming>) -> Response<BoxBody<Bytes, Infallible>> {
    let kind = request.headers().get(CONTENT_TYPE).cloned();
    let message = request
        .into_body()
        .collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .unwrap_or_default();
    let is_grpc = kind
        .as_ref()
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"));
    let mut response = if is_grpc {
        let trailers =
            HeaderMap::from_iter([(http::HeaderName::from_static("grpc-status"), HeaderValue::from(0))]);
        Response::new(
            Full::new(message)
                .with_trailers(async move { Some(Ok(trailers)) })
                .boxed(),
        )
    } else {
        Response::new(Full::new(Bytes::new()).boxed())
    };
    if let Some(kind) = kind {
        response.headers_mut().insert(CONTENT_TYPE, kind);
    }
    response
}
