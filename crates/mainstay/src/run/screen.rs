//! Standard output, written by a thread of its own: a reader that is slow, or stuck, holds up nothing but itself.

use std::io::{self, Write as _};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::mpsc;

/// Pieces of text that wait to be written.
const WAITING: usize = 1_024;

/// How long the last pieces may take at the end.
const LAST_PIECES: Duration = Duration::from_secs(1);

/// Standard output.
#[derive(Debug)]
pub(crate) struct Screen {
    sender: mpsc::Sender<String>,
    thread: JoinHandle<()>,
}

impl Screen {
    /// Starts the thread.
    pub(crate) fn start() -> io::Result<Self> {
        let (sender, receiver) = mpsc::channel(WAITING);
        let thread = thread::Builder::new()
            .name("screen".to_owned())
            .spawn(move || write_all(receiver))?;
        Ok(Self { sender, thread })
    }

    /// Writes `text`, once there is room. Cancel safe: it is written as a whole or not at all.
    pub(crate) async fn write(&self, text: String) {
        // Nobody reads any more: the system runs on, and its log can be read with `mainstay logs`.
        let _ = self.sender.send(text).await;
    }

    /// Lets the last pieces be written, as long as the reader takes them.
    pub(crate) async fn close(self) {
        drop(self.sender);
        let thread = self.thread;
        let ended = tokio::task::spawn_blocking(move || thread.join());
        let _ = tokio::time::timeout(LAST_PIECES, ended).await;
    }
}

fn write_all(mut receiver: mpsc::Receiver<String>) {
    let mut stdout = io::stdout().lock();
    while let Some(text) = receiver.blocking_recv() {
        let written = stdout.write_all(text.as_bytes());
        // One flush for everything that is already there.
        let flushed = written.and_then(|()| {
            if receiver.is_empty() {
                stdout.flush()
            } else {
                Ok(())
            }
        });
        if flushed.is_err() {
            return;
        }
    }
}
