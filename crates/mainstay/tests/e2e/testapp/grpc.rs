//! gRPC without messages: whatever comes is sent back frame by frame, so that all four kinds of call can be tried.
//!
//! Metadata: `test-status: 14` answers with this status at once, `test-delay: 200ms` waits before the head, `test-only: orders-1`
//! makes both concern this replica alone.

use std::io;

use http::{HeaderMap, HeaderValue, Request, Response, header};
use http_body_util::{BodyExt as _, Channel};
use hyper::body::{Bytes, Incoming};

use crate::answer::{AnswerBody, full, instance};

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// Whether it is a gRPC call.
pub(crate) fn is_grpc(request: &Request<Incoming>) -> bool {
    request
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Sends back what comes; the metadata as trailers `echo-<name>`.
pub(crate) async fn echo(request: Request<Incoming>) -> Response<AnswerBody> {
    let (head, mut incoming) = request.into_parts();
    let wish = |name: &str| Some(head.headers.get(name)?.to_str().ok()?.to_owned());
    let concerned = wish("test-only").is_none_or(|only| only == instance());
    if let Some(delay) = wish("test-delay").filter(|_| concerned) {
        tokio::time::sleep(mainstay_base::parse_duration(&delay).expect("a duration")).await;
    }
    let status = wish("test-status").filter(|_| concerned);
    let mut trailers = HeaderMap::new();
    let code = status.as_deref().unwrap_or("0");
    trailers.insert("grpc-status", HeaderValue::from_str(code).expect("a value"));
    trailers.insert(
        "echo-instance",
        HeaderValue::from_str(&instance()).expect("a value"),
    );
    for (name, value) in &head.headers {
        if let Ok(name) = http::HeaderName::try_from(format!("echo-{name}")) {
            trailers.insert(name, value.clone());
        }
    }
    if status.is_some() {
        // As servers tell an error of a unary call: once they have read all of it, with trailers only.
        let _ = incoming.collect().await;
        trailers.insert(header::CONTENT_TYPE, GRPC);
        let mut response = Response::new(full(Bytes::new()));
        *response.headers_mut() = trailers;
        return response;
    }
    let (mut sender, body) = Channel::<Bytes, io::Error>::new(1);
    tokio::spawn(async move {
        while let Some(Ok(frame)) = incoming.frame().await {
            if let Ok(data) = frame.into_data()
                && sender.send_data(data).await.is_err()
            {
                return;
            }
        }
        let _ = sender.send_trailers(trailers).await;
    });
    let mut response = Response::new(body.boxed());
    response.headers_mut().insert(header::CONTENT_TYPE, GRPC);
    response
}
