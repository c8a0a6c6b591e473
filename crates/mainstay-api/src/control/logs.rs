//! `GET /api/logs`: the output of everything that runs, one JSON object per line.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use http_body::Frame;
use mainstay_base::AppId;
use mainstay_host::{LogFilter, LogLine, LogStream};
use mainstay_mesh::Body;

use crate::http::path::{self, Plus};
use crate::{reply, wire};

/// Lines that are ready are sent together up to about this size.
const CHUNK_BYTES: usize = 16 * 1024;

/// Reads `app=a&app=b&tail=N&follow=true`.
///
/// # Errors
/// With what is wrong, for the user.
pub(super) fn filter(query: &str) -> Result<LogFilter, String> {
    let mut filter = LogFilter::default();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let value = path::decode(value.as_bytes(), Plus::Space).map_err(|error| error.to_string())?;
        let value = String::from_utf8_lossy(&value);
        match key {
            "app" => filter
                .apps
                .push(AppId::new(&value).map_err(|error| error.to_string())?),
            "tail" => {
                let lines = value.parse();
                let lines = lines.map_err(|_| format!("tail={value}: write a number of lines"))?;
                filter.tail = Some(lines);
            }
            "follow" => {
                let follow = value.parse();
                filter.follow = follow.map_err(|_| format!("follow={value}: write true or false"))?;
            }
            key => return Err(format!("`{key}` is not a filter: use app, tail or follow")),
        }
    }
    Ok(filter)
}

/// Streams lines until the end; a client that goes away ends it.
pub(super) fn answer(lines: LogStream) -> Response<Body> {
    let content_type = HeaderValue::from_static("application/x-ndjson");
    let mut response = reply::bytes(StatusCode::OK, content_type, Bytes::new());
    *response.body_mut() = Body::boxed(LogBody {
        next: Some(next(lines)),
    });
    response
}

type Next = Pin<Box<dyn Future<Output = (LogStream, Option<Arc<LogLine>>)> + Send>>;

fn next(mut lines: LogStream) -> Next {
    Box::pin(async move {
        let line = lines.next().await;
        (lines, line)
    })
}

/// Log lines as a body. It takes the next line only when the client has taken the last, so it holds nothing.
struct LogBody {
    next: Option<Next>,
}

impl http_body::Body for LogBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let mut chunk = Vec::new();
        while let Some(mut pending) = self.next.take() {
            match pending.as_mut().poll(context) {
                Poll::Ready((lines, Some(line))) => {
                    self.next = Some(next(lines));
                    chunk.extend_from_slice(&reply::json_bytes(&wire::LogLine::from(&*line)));
                    chunk.push(b'\n');
                    if chunk.len() >= CHUNK_BYTES {
                        break;
                    }
                }
                Poll::Ready((_, None)) => break,
                Poll::Pending => {
                    self.next = Some(pending);
                    if chunk.is_empty() {
                        return Poll::Pending;
                    }
                    break;
                }
            }
        }
        let frame = (!chunk.is_empty()).then(|| Ok(Frame::data(Bytes::from(chunk))));
        Poll::Ready(frame)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_are_read() {
        let filter = filter("app=orders&app=payments&tail=10&follow=true").unwrap();
        let apps: Vec<_> = filter.apps.iter().map(AppId::as_str).collect();
        assert_eq!(
            (apps, filter.tail, filter.follow),
            (vec!["orders", "payments"], Some(10), true)
        );
    }

    #[test]
    fn mistakes_are_told() {
        for (query, message) in [
            ("tail=x", "tail=x: write a number of lines"),
            ("tail=-1", "tail=-1: write a number of lines"),
            ("follow=yes", "follow=yes: write true or false"),
            ("since=1h", "`since` is not a filter: use app, tail or follow"),
            ("tail=%zz", "invalid URL escape \"%zz\""),
        ] {
            assert_eq!(filter(query).unwrap_err(), message);
        }
        assert!(
            filter("app=a.b")
                .unwrap_err()
                .contains("`a.b` is not an app name")
        );
    }
}
