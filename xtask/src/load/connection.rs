//! One connection of the generator: connecting, idle, or with one request under way.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto};

use super::response::{self, Response};

/// A request that was started and has no answer yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pending {
    /// Number of its class.
    pub(super) class: usize,
    /// When the schedule wanted it sent.
    pub(super) intended: Instant,
}

/// A connection.
pub(super) struct Connection {
    stream: TcpStream,
    /// Until the first writable event.
    connecting: bool,
    pub(super) pending: Option<Pending>,
    input: Vec<u8>,
}

impl Connection {
    /// Begins to connect; the socket is writable when it is done.
    pub(super) fn open(address: SocketAddr) -> Result<Self> {
        let family = if address.is_ipv4() {
            AddressFamily::INET
        } else {
            AddressFamily::INET6
        };
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = rustix::net::socket_with(family, SocketType::STREAM, flags, Some(ipproto::TCP))?;
        match rustix::net::connect(&socket, &address) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(error) => return Err(error).context("connect"),
        }
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            connecting: true,
            pending: None,
            input: Vec::new(),
        })
    }

    /// Whether it is still connecting.
    pub(super) fn is_connecting(&self) -> bool {
        self.connecting
    }

    /// Ends the connecting phase.
    pub(super) fn connected(&mut self) -> Result<()> {
        self.connecting = false;
        match self.stream.take_error()? {
            Some(error) => Err(error).context("connect"),
            None => Ok(()),
        }
    }

    /// Sends a request. Requests are far smaller than a socket's buffer, so it is taken whole or something is wrong.
    pub(super) fn send(&mut self, pending: Pending, request: &[u8]) -> Result<()> {
        self.pending = Some(pending);
        if self.stream.write(request)? != request.len() {
            bail!("the socket took a part of a request");
        }
        Ok(())
    }

    /// Reads what has come; gives the answer when it is whole.
    pub(super) fn receive(&mut self) -> Result<Option<Response>> {
        let mut chunk = [0; 4096];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => bail!("closed by the server"),
                Ok(count) => {
                    self.input.extend_from_slice(&chunk[..count]);
                    if count < chunk.len() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        let whole = response::parse(&self.input)?;
        if whole.is_some() {
            self.input.clear();
        }
        Ok(whole)
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
