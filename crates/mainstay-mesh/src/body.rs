//! Bodies that stream.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::body::Incoming;

use crate::answer::Answer;
use crate::upload::Reader;

/// A request or response body: what came from a connection, a piece of memory, or a stream of another kind.
/// An enum rather than a box, because nearly every body of a request is of the first two kinds.
#[derive(Debug, Default)]
pub struct Body(Kind);

#[derive(Debug, Default)]
enum Kind {
    #[default]
    Empty,
    Full(Bytes),
    Incoming(Incoming),
    /// An answer on its way to the caller: its end ends the call. Boxed, because it would make every request as large.
    Answer(Box<Answer>),
    /// A request on its way to the callee, for one of its attempts.
    Upload(Reader),
    Boxed(UnsyncBoxBody<Bytes, io::Error>),
}

impl Body {
    /// No body.
    pub fn empty() -> Self {
        Self(Kind::Empty)
    }

    /// A body in memory.
    pub fn full(bytes: impl Into<Bytes>) -> Self {
        let bytes = bytes.into();
        if bytes.is_empty() {
            Self::empty()
        } else {
            Self(Kind::Full(bytes))
        }
    }

    /// A body of another kind, such as an encoded gRPC message or the lines of a log.
    pub fn boxed<B>(body: B) -> Self
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        Self(Kind::Boxed(body.map_err(io::Error::other).boxed_unsync()))
    }

    pub(crate) fn answer(answer: Answer) -> Self {
        Self(Kind::Answer(Box::new(answer)))
    }

    pub(crate) fn upload(reader: Reader) -> Self {
        Self(Kind::Upload(reader))
    }

    /// The bytes of a body in memory.
    pub(crate) fn as_memory(&self) -> Option<&Bytes> {
        match &self.0 {
            Kind::Full(bytes) => Some(bytes),
            _ => None,
        }
    }
}

impl From<Incoming> for Body {
    fn from(incoming: Incoming) -> Self {
        Self(Kind::Incoming(incoming))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        match &mut self.get_mut().0 {
            Kind::Empty => Poll::Ready(None),
            full @ Kind::Full(_) => {
                let Kind::Full(bytes) = std::mem::take(full) else {
                    return Poll::Ready(None);
                };
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Kind::Incoming(incoming) => {
                let frame = ready!(Pin::new(incoming).poll_frame(context));
                Poll::Ready(frame.map(|frame| frame.map_err(io::Error::other)))
            }
            Kind::Answer(answer) => answer.poll_frame(context),
            Kind::Upload(reader) => reader.poll_frame(context),
            Kind::Boxed(body) => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Empty => true,
            Kind::Full(_) => false,
            Kind::Incoming(incoming) => incoming.is_end_stream(),
            Kind::Answer(answer) => answer.is_end_stream(),
            Kind::Upload(reader) => reader.is_end_stream(),
            Kind::Boxed(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Empty => SizeHint::with_exact(0),
            Kind::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Incoming(incoming) => incoming.size_hint(),
            Kind::Answer(answer) => answer.size_hint(),
            Kind::Upload(reader) => reader.size_hint(),
            Kind::Boxed(body) => body.size_hint(),
        }
    }
}
#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Call, Mesh};

    fn size_of_output<F>(_: fn(&'static Mesh, Call) -> F) -> usize {
        size_of::<F>()
    }

    fn make(mesh: &'static Mesh, call: Call) -> impl Future {
        mesh.call(call)
    }

    /// Both are moved several times in every call.
    #[test]
    fn a_call_and_its_bodies_stay_small() {
        assert!(size_of::<Body>() <= 64, "{}", size_of::<Body>());
        let call = size_of_output(make);
        assert!(call <= 1_500, "{call}");
    }
}
