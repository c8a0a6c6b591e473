//! The caller's body on its way to the callee: streamed, kept for another attempt while it is small, and watched, so
//! that a timeout knows whom it waits for.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body as _, Frame, SizeHint};
use mainstay_base::limits::MAX_REPLAY_BYTES;
use mainstay_base::{Clock, SystemClock, Timestamp};

use crate::Body;

/// A caller's body that attempts read one after another.
#[derive(Debug)]
pub(crate) struct Upload {
    shared: Arc<Mutex<Shared>>,
}

/// One attempt's way to read it.
#[derive(Debug)]
pub(crate) struct Reader {
    shared: Arc<Mutex<Shared>>,
    clock: SystemClock,
    /// Which attempt this is: a newer one takes the source over.
    attempt: u32,
    /// Pieces of data read so far.
    position: usize,
    /// Bytes still to come, where the length is known.
    left: Option<u64>,
    trailers_read: bool,
}

#[derive(Debug)]
struct Shared {
    source: Body,
    attempts: u32,
    /// Nothing was read from the source yet.
    untouched: bool,
    /// What was read, for as long as it can be replayed.
    kept: Option<Kept>,
    progress: Progress,
}

#[derive(Debug, Default)]
struct Kept {
    chunks: Vec<Bytes>,
    bytes: usize,
    trailers: Option<HeaderMap>,
}

/// Who has to do something next, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The callee: it could be sent more, or has everything.
    Callee(Timestamp),
    /// The caller: more of the body is to come.
    Caller(Timestamp),
    /// Nobody: the body broke off.
    Broken,
}

impl Upload {
    /// Wraps `source`, which came in at `now`. With `keep` the body can be replayed if it turns out to be small.
    pub(crate) fn new(source: Body, keep: bool, now: Timestamp) -> Self {
        let size = source.size_hint();
        let fits = size.lower() <= MAX_REPLAY_BYTES as u64;
        Self {
            shared: Arc::new(Mutex::new(Shared {
                kept: (keep && fits).then(Kept::default),
                attempts: 0,
                untouched: true,
                progress: Progress::Callee(now),
                source,
            })),
        }
    }

    /// The body for the next attempt, from its beginning; the attempt before reads no more.
    /// A second one needs [`Upload::is_repeatable`].
    pub(crate) fn reader(&self, clock: SystemClock) -> Reader {
        let mut shared = lock(&self.shared);
        shared.attempts += 1;
        let kept = shared.kept.as_ref().map_or(0, |kept| kept.bytes as u64);
        Reader {
            shared: self.shared.clone(),
            clock,
            attempt: shared.attempts,
            position: 0,
            left: shared.source.size_hint().exact().map(|left| left + kept),
            trailers_read: false,
        }
    }

    /// Whether another attempt can read all of it: nothing was read yet, or nothing was dropped and it is no stream, so
    /// that its length is known or its end was seen.
    pub(crate) fn is_repeatable(&self) -> bool {
        let shared = lock(&self.shared);
        let is_bounded = shared.source.size_hint().exact().is_some();
        let is_kept = shared.kept.is_some() && is_bounded && shared.progress != Progress::Broken;
        shared.untouched || is_kept
    }

    /// Who has to do something next.
    pub(crate) fn progress(&self) -> Progress {
        lock(&self.shared).progress
    }

    /// Frees what was kept: there will be no further attempt.
    pub(crate) fn forget(&self) {
        lock(&self.shared).kept = None;
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Reader {
    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let mut shared = lock(&self.shared);
        if shared.attempts != self.attempt {
            let overtaken = io::Error::other("another attempt reads the body");
            return Poll::Ready(Some(Err(overtaken)));
        }
        let kept = shared.kept.as_ref();
        if let Some(chunk) = kept.and_then(|kept| kept.chunks.get(self.position)).cloned() {
            self.position += 1;
            self.left = self.left.map(|left| left.saturating_sub(chunk.len() as u64));
            return Poll::Ready(Some(Ok(Frame::data(chunk))));
        }
        if self.trailers_read {
            return Poll::Ready(None);
        }
        if let Some(trailers) = kept.and_then(|kept| kept.trailers.clone()) {
            self.trailers_read = true;
            return Poll::Ready(Some(Ok(Frame::trailers(trailers))));
        }
        let frame = ready!(shared.poll_source(context, self.clock));
        if let Some(Ok(frame)) = &frame {
            self.trailers_read = frame.is_trailers();
            let bytes = frame.data_ref().map_or(0, Bytes::len);
            self.position += usize::from(frame.is_data());
            self.left = self.left.map(|left| left.saturating_sub(bytes as u64));
        }
        Poll::Ready(frame)
    }

    pub(crate) fn is_end_stream(&self) -> bool {
        // Trailers may follow the last byte.
        self.left == Some(0) && lock(&self.shared).source.is_end_stream()
    }

    pub(crate) fn size_hint(&self) -> SizeHint {
        self.left.map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

impl Shared {
    fn poll_source(
        &mut self,
        context: &mut Context<'_>,
        clock: SystemClock,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        self.untouched = false;
        let polled = Pin::new(&mut self.source).poll_frame(context);
        self.progress = match &polled {
            Poll::Pending => match self.progress {
                waiting @ Progress::Caller(_) => waiting,
                _ => Progress::Caller(clock.now()),
            },
            Poll::Ready(Some(Err(_))) => Progress::Broken,
            Poll::Ready(_) => Progress::Callee(clock.now()),
        };
        match &polled {
            Poll::Ready(Some(Ok(frame))) => self.keep(frame),
            // Its end was seen: from now on its length is known.
            Poll::Ready(None) => self.source = Body::empty(),
            _ => {}
        }
        polled
    }

    fn keep(&mut self, frame: &Frame<Bytes>) {
        let Some(kept) = &mut self.kept else {
            return;
        };
        if let Some(data) = frame.data_ref() {
            kept.bytes += data.len();
            kept.chunks.push(data.clone());
        } else {
            kept.trailers = frame.trailers_ref().cloned();
        }
        if kept.bytes > MAX_REPLAY_BYTES {
            self.kept = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Waker;

    use http_body_util::Full;

    use super::*;

    fn read_all(reader: &mut Reader) -> Result<Vec<u8>, io::Error> {
        let mut all = Vec::new();
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(frame)) = reader.poll_frame(&mut context) {
            all.extend_from_slice(&frame?.into_data().unwrap_or_default());
        }
        Ok(all)
    }

    fn upload(body: Body) -> Upload {
        Upload::new(body, true, Timestamp::ZERO)
    }

    #[test]
    fn a_small_body_is_read_again_from_its_beginning() {
        let upload = upload(Body::boxed(Full::new(Bytes::from_static(b"hello"))));
        let clock = SystemClock::new();
        let mut first = upload.reader(clock);
        assert_eq!(first.size_hint().exact(), Some(5));
        assert_eq!(read_all(&mut first).unwrap(), b"hello");
        assert!(upload.is_repeatable());
        let mut second = upload.reader(clock);
        assert_eq!(second.size_hint().exact(), Some(5));
        assert_eq!(read_all(&mut second).unwrap(), b"hello");
        assert!(second.is_end_stream());
        assert!(read_all(&mut first).is_err(), "the first attempt was overtaken");
    }

    #[test]
    fn a_large_body_is_not_kept() {
        let upload = upload(Body::full(vec![0; MAX_REPLAY_BYTES + 1]));
        assert!(upload.is_repeatable(), "nothing was read yet");
        let all = read_all(&mut upload.reader(SystemClock::new())).unwrap();
        assert_eq!(all.len(), MAX_REPLAY_BYTES + 1);
        assert!(!upload.is_repeatable());
    }

    #[test]
    fn a_stream_is_repeatable_only_once_its_end_was_seen() {
        let (sender, receiver) = tokio::sync::mpsc::unbounded_channel::<Bytes>();
        let stream = Channel(receiver);
        let upload = upload(Body::boxed(stream));
        let clock = SystemClock::new();
        let mut first = upload.reader(clock);
        sender.send(Bytes::from_static(b"one")).unwrap();
        assert_eq!(read_all(&mut first).unwrap(), b"one");
        assert!(!upload.is_repeatable());
        assert!(matches!(upload.progress(), Progress::Caller(_)));
        drop(sender);
        assert_eq!(read_all(&mut first).unwrap(), b"");
        assert!(upload.is_repeatable());
        assert!(matches!(upload.progress(), Progress::Callee(_)));
        assert_eq!(read_all(&mut upload.reader(clock)).unwrap(), b"one");
        upload.forget();
        assert!(!upload.is_repeatable());
    }

    struct Channel(tokio::sync::mpsc::UnboundedReceiver<Bytes>);

    impl http_body::Body for Channel {
        type Data = Bytes;
        type Error = io::Error;

        fn poll_frame(
            mut self: Pin<&mut Self>,
            context: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
            self.0
                .poll_recv(context)
                .map(|chunk| chunk.map(|chunk| Ok(Frame::data(chunk))))
        }
    }
}
