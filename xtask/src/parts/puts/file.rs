//! The least that durability costs: one thread that appends all that waits to a file and syncs once for all of it.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use anyhow::{Context, Result};
use bytes::{BufMut, Bytes};
use tokio::sync::oneshot;

use super::Sink;

/// More than there are clients, so that nobody waits to be let in.
const WAITING: usize = 4_096;

/// A file that grows.
pub(super) struct File {
    waiting: SyncSender<Put>,
}

struct Put {
    key: String,
    value: Bytes,
    done: oneshot::Sender<()>,
}

impl File {
    /// A new, empty one.
    pub(super) fn create(path: &Path) -> Result<Self> {
        let file = fs::File::create(path)?;
        let (waiting, put) = sync_channel(WAITING);
        // It ends with the last sender; an error drops those who wait, which tells them.
        std::thread::spawn(move || append(file, &put));
        Ok(Self { waiting })
    }
}

impl Sink for File {
    async fn put(&self, key: String, value: Bytes) -> Result<()> {
        let (done, is_done) = oneshot::channel();
        self.waiting.send(Put { key, value, done })?;
        is_done.await.context("the file cannot be written")
    }
}

fn append(mut file: fs::File, puts: &Receiver<Put>) -> Result<()> {
    let mut bytes = Vec::new();
    let mut group = Vec::new();
    while let Ok(first) = puts.recv() {
        bytes.clear();
        for put in std::iter::once(first).chain(puts.try_iter()) {
            bytes.put_u32(put.key.len() as u32);
            bytes.put_slice(put.key.as_bytes());
            bytes.put_u32(put.value.len() as u32);
            bytes.put_slice(&put.value);
            group.push(put.done);
        }
        file.write_all(&bytes)?;
        file.sync_data()?;
        for done in group.drain(..) {
            // The client waits for it.
            let _ = done.send(());
        }
    }
    Ok(())
}
