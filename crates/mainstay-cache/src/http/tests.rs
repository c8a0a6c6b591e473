mod answers;
mod bodies;
mod requests;
mod written;

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use ::http::{HeaderMap, HeaderValue, Method, Response, header};
use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::{BodyExt, Full};
use mainstay_base::CacheStatus;
use proptest::prelude::*;

use super::*;
use crate::cache::Cached;
use crate::codec::{Codec, Envelope};
use crate::error::StoreError;
use crate::policy::Lifetime;
use crate::port::Selection;
use crate::settings::{Declaration, Settings};

const TTL: Duration = Duration::from_secs(30);
const STALE: Duration = Duration::from_secs(300);
const NEGATIVE: Duration = Duration::from_secs(5);

fn rules_with(vary: &[&str]) -> Rules {
    let declared = Declaration {
        ttl: TTL,
        stale: Some(STALE),
        negative: Some(NEGATIVE),
        max_bytes: Some(1 << 20),
        vary: vary.iter().map(ToString::to_string).collect(),
        ..Declaration::default()
    };
    Rules::new("catalog", &Settings::new(&declared).unwrap())
}

fn rules() -> Rules {
    rules_with(&[])
}

fn head(method: &Method, path: &str, headers: &[(&str, &str)]) -> ::http::Request<()> {
    let mut request = ::http::Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

fn get(headers: &[(&str, &str)]) -> ::http::Request<()> {
    head(&Method::GET, "/items?page=1", headers)
}

fn cached(rules: &Rules, request: &::http::Request<()>) -> Request {
    match rules.plan(request) {
        Plan::Cached(request) => request,
        Plan::Pass(reason) => panic!("passed: {reason:?}"),
    }
}

fn bypass(request: &::http::Request<()>) -> Option<Bypass> {
    match rules().plan(request) {
        Plan::Pass(reason) => Some(reason),
        Plan::Cached(_) => None,
    }
}

fn answer(status: u16, headers: &[(&str, &str)]) -> Response<Full<Bytes>> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Full::from("body")).unwrap()
}

async fn stored(response: Response<Full<Bytes>>) -> Stored {
    match rules().take(response).await.unwrap() {
        (Loaded::Value(stored, _), _) => stored,
        other => panic!("{other:?}"),
    }
}

fn served(request: &Request, value: &Stored, status: CacheStatus, age: Duration) -> Response<Bytes> {
    let value = value.clone();
    request.answer(Cached { value, status, age })
}
