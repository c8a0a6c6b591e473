//! `GET /api/backup`: the store at this moment, for `mainstay backup`, in the records of `mainstay_backup::format`.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode};
use http_body::Frame;
use mainstay_backup::{ExportError, Exports, Leaving};
use mainstay_mesh::Body;

use crate::reply;

/// Begins to send. What fails later is said in the last record.
pub(super) async fn answer(exports: Option<&Exports>) -> Response<Body> {
    let Some(exports) = exports else {
        let message = "this system has no store of its own";
        return reply::problem(StatusCode::NOT_FOUND, "ERR_NOT_FOUND", message);
    };
    match exports.begin().await {
        Ok(leaving) => {
            let content_type = HeaderValue::from_static("application/octet-stream");
            let mut response = reply::bytes(StatusCode::OK, content_type, Bytes::new());
            *response.body_mut() = Body::boxed(BackupBody { next: next(leaving) });
            response
        }
        Err(error @ ExportError::Busy) => {
            reply::problem(StatusCode::CONFLICT, "ERR_BACKUP_BUSY", error.to_string())
        }
        Err(error @ ExportError::Source(_)) => {
            let status = StatusCode::SERVICE_UNAVAILABLE;
            reply::problem(status, "ERR_STORE_UNAVAILABLE", error.to_string())
        }
    }
}

type Next = Pin<Box<dyn Future<Output = (Leaving, Option<Bytes>)> + Send>>;

fn next(mut leaving: Leaving) -> Next {
    Box::pin(async move {
        let bytes = leaving.next().await;
        (leaving, bytes)
    })
}

/// Reads on when the client has taken what was read, so it holds one part. A client that takes nothing is cut by the
/// listener, and the moment with it.
struct BackupBody {
    next: Next,
}

impl http_body::Body for BackupBody {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        let (leaving, bytes) = ready!(self.next.as_mut().poll(context));
        self.next = next(leaving);
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
