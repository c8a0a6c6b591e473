//! A closed loop: each connection sends its next request when the one before it was answered. For throughput alone: its
//! latencies are those of a client that waits politely.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::{Timespec, epoll};

use super::Histogram;
use super::connection::{Connection, Pending};

/// How long to wait for an answer before the server counts as stuck.
const PATIENCE: Timespec = Timespec {
    tv_sec: 10,
    tv_nsec: 0,
};

/// What came back.
pub(crate) struct Answers {
    /// How long each took; all of them were good.
    pub(crate) latency: Histogram,
    pub(crate) took: Duration,
}

/// Sends requests over so many connections for so long. `write` puts the next request into an empty buffer.
///
/// # Errors
/// When the server closes a connection, stops answering, or answers with anything but 2xx.
pub(crate) fn run(
    address: SocketAddr,
    connections: usize,
    duration: Duration,
    write: impl FnMut(&mut Vec<u8>),
) -> Result<Answers> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).context("epoll")?;
    let mut all = Vec::with_capacity(connections);
    for slot in 0..connections {
        let connection = Connection::open(address)?;
        let (data, flags) = (
            epoll::EventData::new_u64(slot as u64),
            epoll::EventFlags::IN | epoll::EventFlags::OUT,
        );
        epoll::add(&epoll, &connection, data, flags).context("epoll")?;
        all.push(connection);
    }
    let begin = Instant::now();
    let mut closed = Loop {
        epoll,
        connections: all,
        write,
        buffer: Vec::new(),
        end: begin + duration,
        under_way: connections,
        latency: Histogram::new(),
    };
    closed.run()?;
    Ok(Answers {
        latency: closed.latency,
        took: begin.elapsed(),
    })
}

struct Loop<W> {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    write: W,
    buffer: Vec<u8>,
    end: Instant,
    /// Connections that connect or wait for an answer.
    under_way: usize,
    latency: Histogram,
}

impl<W: FnMut(&mut Vec<u8>)> Loop<W> {
    fn run(&mut self) -> Result<()> {
        let mut events = Vec::with_capacity(self.connections.len());
        while self.under_way > 0 {
            events.clear();
            epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                Some(&PATIENCE),
            )
            .context("epoll")?;
            if events.is_empty() {
                bail!("the server does not answer");
            }
            for event in &events {
                self.handle(event.data.u64() as usize)?;
            }
        }
        Ok(())
    }

    fn handle(&mut self, slot: usize) -> Result<()> {
        let connection = &mut self.connections[slot];
        if connection.is_connecting() {
            connection.connected()?;
            let data = epoll::EventData::new_u64(slot as u64);
            epoll::modify(&self.epoll, &*connection, data, epoll::EventFlags::IN)?;
        } else {
            let Some(response) = connection.receive()? else {
                return Ok(());
            };
            if !(200..300).contains(&response.status) {
                bail!("the server answers with {}", response.status);
            }
            let pending = connection.pending.take().context("an answer to no request")?;
            self.latency.record(pending.intended.elapsed());
        }
        let now = Instant::now();
        if now >= self.end {
            self.under_way -= 1;
            return Ok(());
        }
        self.buffer.clear();
        (self.write)(&mut self.buffer);
        let pending = Pending {
            class: 0,
            intended: now,
        };
        connection.send(pending, &self.buffer)
    }
}
