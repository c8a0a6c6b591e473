//! A connection that spoils what the server writes, once it is told to.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// What happens to the bytes that are written.
#[derive(Debug, Default)]
pub(crate) struct Fault(AtomicU8);

const GARBAGE: u8 = 1;
const HALF_HEAD: u8 = 2;
const CLOSE: u8 = 3;

impl Fault {
    /// Writes something that is no HTTP instead of the answer.
    pub(crate) fn garbage(&self) {
        self.0.store(GARBAGE, Ordering::Relaxed);
    }

    /// Writes half of an answer's head and closes.
    pub(crate) fn half_head(&self) {
        self.0.store(HALF_HEAD, Ordering::Relaxed);
    }

    /// Closes without a word.
    pub(crate) fn close(&self) {
        self.0.store(CLOSE, Ordering::Relaxed);
    }
}

/// The connection.
#[derive(Debug)]
pub(crate) struct FaultyStream {
    stream: TcpStream,
    fault: Arc<Fault>,
}

impl FaultyStream {
    /// `stream`, spoilt as `fault` says from then on.
    pub(crate) fn new(stream: TcpStream, fault: Arc<Fault>) -> Self {
        Self { stream, fault }
    }
}

impl AsyncRead for FaultyStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for FaultyStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let instead: &[u8] = match self.fault.0.load(Ordering::Relaxed) {
            GARBAGE => b"\x16\x03\x01\x02 this is not HTTP at all\r\n\r\n",
            HALF_HEAD => b"HTTP/1.1 200 OK\r\ncontent-len",
            CLOSE => b"",
            _ => return Pin::new(&mut self.stream).poll_write(context, bytes),
        };
        if !instead.is_empty() {
            ready!(Pin::new(&mut self.stream).poll_write(context, instead))?;
        }
        // The server drops the connection for this.
        Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
