//! Bodies that stream.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::Frame;

/// A request or response body: what came from a connection, a piece of memory, or a stream of another kind.
/// An enum rather than a box, because nearly every body on the call path is of the first two kinds.
#[derive(Debug, Default)]
pub struct Body {}

impl Body {
    /// No body.
    pub fn empty() -> Self {
        todo!("mesh")
    }

    /// A body in memory.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let _ = bytes.into();
        todo!("mesh")
    }
}

impl Body {
    /// A body of another kind, such as an encoded gRPC message or the lines of a log.
    pub fn boxed<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let _ = body;
        todo!("mesh")
    }
}

impl From<hyper::body::Incoming> for Body {
    fn from(incoming: hyper::body::Incoming) -> Self {
        let _ = incoming;
        todo!("mesh")
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let _ = context;
        todo!("mesh")
    }
}
