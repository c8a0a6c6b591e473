//! Bodies: collected while they are small and quick, passed on as they come otherwise.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, timeout_at};

use super::Unstorable;

/// What became of a body.
#[derive(Debug)]
pub(super) enum Collected<B> {
    Whole(Bytes),
    /// It goes on, and why it was not collected.
    Part(Unstorable, Resumed<B>),
}

/// A body of which a part was read already: gives that part again, and then the rest.
#[derive(Debug)]
pub struct Resumed<B> {
    read: VecDeque<Frame<Bytes>>,
    rest: B,
}

impl<B> Resumed<B> {
    pub(super) fn untouched(body: B) -> Self {
        Self {
            read: VecDeque::new(),
            rest: body,
        }
    }

    /// The body itself, if nothing of it was read.
    pub(super) fn into_untouched(self) -> Result<B, Self> {
        if self.read.is_empty() {
            Ok(self.rest)
        } else {
            Err(self)
        }
    }
}

/// Reads `body` to its end, unless it has more than `limit` bytes, takes longer than `patience`, or ends with trailers.
pub(super) async fn collect<B>(
    mut body: B,
    limit: usize,
    patience: Duration,
) -> Result<Collected<B>, B::Error>
where
    B: Body<Data = Bytes> + Unpin,
{
    if body.size_hint().lower() > limit as u64 {
        return Ok(Collected::Part(Unstorable::TooLarge, Resumed::untouched(body)));
    }
    let deadline = Instant::now() + patience;
    let mut read = VecDeque::new();
    let mut bytes = 0;
    let reason = loop {
        let next = poll_fn(|context| Pin::new(&mut body).poll_frame(context));
        let Ok(frame) = timeout_at(deadline, next).await else {
            break Unstorable::TooSlow;
        };
        let Some(frame) = frame.transpose()? else {
            return Ok(Collected::Whole(joined(read, bytes)));
        };
        let data = frame.data_ref().map(Bytes::len);
        bytes += data.unwrap_or(0);
        // Empty pieces would take room without being counted.
        if data != Some(0) {
            read.push_back(frame);
        }
        if data.is_none() {
            break Unstorable::Trailers;
        }
        if bytes > limit {
            break Unstorable::TooLarge;
        }
    };
    Ok(Collected::Part(reason, Resumed { read, rest: body }))
}

fn joined(read: VecDeque<Frame<Bytes>>, bytes: usize) -> Bytes {
    let mut pieces = read.into_iter().filter_map(|frame| frame.into_data().ok());
    let Some(first) = pieces.next() else {
        return Bytes::new();
    };
    if first.len() == bytes {
        return first;
    }
    let mut whole = BytesMut::with_capacity(bytes);
    whole.extend_from_slice(&first);
    for piece in pieces {
        whole.extend_from_slice(&piece);
    }
    whole.freeze()
}

impl<B> Body for Resumed<B>
where
    B: Body<Data = Bytes> + Unpin,
{
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let this = self.get_mut();
        if let Some(frame) = this.read.pop_front() {
            return Poll::Ready(Some(Ok(frame)));
        }
        Pin::new(&mut this.rest).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.read.is_empty() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let read: usize = self
            .read
            .iter()
            .filter_map(|frame| Some(frame.data_ref()?.len()))
            .sum();
        let rest = self.rest.size_hint();
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(read as u64));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(read as u64));
        }
        hint
    }
}
