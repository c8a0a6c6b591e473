//! Answers that go on: one JSON object per line.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use http_body::Frame;
use mainstay_mesh::Body;

use crate::reply;

/// Lines that are ready are sent together up to about this size.
const CHUNK_BYTES: usize = 16 * 1024;

/// Where lines come from.
pub(super) trait Lines: Send + 'static {
    /// The next line as JSON, without its break; `None` at the end.
    fn next(&mut self) -> impl Future<Output = Option<Vec<u8>>> + Send;
}

/// Streams lines until the end; a client that goes away ends it.
pub(super) fn answer(lines: impl Lines) -> Response<Body> {
    let content_type = HeaderValue::from_static("application/x-ndjson");
    let mut response = reply::bytes(StatusCode::OK, content_type, Bytes::new());
    *response.body_mut() = Body::boxed(LinesBody {
        next: Some(next(lines)),
    });
    response
}

/// Lines that are there already.
pub(super) struct Ready<I>(pub(super) I);

impl<I: Iterator<Item = Vec<u8>> + Send + 'static> Lines for Ready<I> {
    async fn next(&mut self) -> Option<Vec<u8>> {
        self.0.next()
    }
}

type Next<L> = Pin<Box<dyn Future<Output = (L, Option<Vec<u8>>)> + Send>>;

fn next<L: Lines>(mut lines: L) -> Next<L> {
    Box::pin(async move {
        let line = lines.next().await;
        (lines, line)
    })
}

/// Lines as a body. It takes the next line only when the client has taken the last, so it holds nothing.
struct LinesBody<L> {
    next: Option<Next<L>>,
}

impl<L: Lines> http_body::Body for LinesBody<L> {
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
                    chunk.extend_from_slice(&line);
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
