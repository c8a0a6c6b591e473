//! A repository that fails on purpose, in front of a real one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use bytes::Bytes;
use mainstay_backup::repository::{
    Download, Folder, Object, Reply, Repository, RepositoryError, Trouble, Upload,
};

/// What goes wrong.
#[derive(Debug)]
pub struct Faulty {
    pub inner: Folder,
    /// Nothing works.
    pub is_gone: AtomicBool,
    /// What is read has one bit changed.
    pub flips: AtomicBool,
    /// So many writes of an upload succeed.
    pub writes_left: AtomicU32,
}

impl Faulty {
    pub fn new(inner: Folder) -> Arc<Self> {
        Arc::new(Self {
            inner,
            is_gone: AtomicBool::new(false),
            flips: AtomicBool::new(false),
            writes_left: AtomicU32::new(u32::MAX),
        })
    }

    fn look(&self) -> Result<(), RepositoryError> {
        if self.is_gone.load(Ordering::Relaxed) {
            return Err(gone());
        }
        Ok(())
    }
}

fn gone() -> RepositoryError {
    RepositoryError {
        place: "here".to_owned(),
        trouble: Trouble::Unavailable("it is gone".to_owned()),
    }
}

impl Repository for Faulty {
    fn create<'a>(&'a self, name: &'a str) -> Reply<'a, Result<Box<dyn Upload>, RepositoryError>> {
        Reply::waiting(async move {
            self.look()?;
            let inner = self.inner.create(name).await?;
            let left = self.writes_left.load(Ordering::Relaxed);
            Ok(Box::new(FaultyUpload { inner, left }) as Box<dyn Upload>)
        })
    }

    fn publish<'a>(&'a self, staged: &'a str, name: &'a str) -> Reply<'a, Result<(), RepositoryError>> {
        self.inner.publish(staged, name)
    }

    fn put<'a>(&'a self, name: &'a str, content: Bytes) -> Reply<'a, Result<(), RepositoryError>> {
        Reply::waiting(async move {
            self.look()?;
            self.inner.put(name, content).await
        })
    }

    fn open<'a>(&'a self, name: &'a str) -> Reply<'a, Result<Box<dyn Download>, RepositoryError>> {
        Reply::waiting(async move {
            self.look()?;
            let inner = self.inner.open(name).await?;
            let flips = self.flips.load(Ordering::Relaxed);
            Ok(Box::new(FaultyDownload { inner, flips }) as Box<dyn Download>)
        })
    }

    fn list(&self) -> Reply<'_, Result<Vec<Object>, RepositoryError>> {
        Reply::waiting(async move {
            self.look()?;
            self.inner.list().await
        })
    }

    fn remove<'a>(&'a self, name: &'a str) -> Reply<'a, Result<(), RepositoryError>> {
        self.inner.remove(name)
    }

    fn clean(&self) -> Reply<'_, Result<(), RepositoryError>> {
        self.inner.clean()
    }

    fn show(&self, name: &str) -> String {
        self.inner.show(name)
    }
}

struct FaultyUpload {
    inner: Box<dyn Upload>,
    left: u32,
}

impl Upload for FaultyUpload {
    fn write(&mut self, bytes: Bytes) -> Reply<'_, Result<(), RepositoryError>> {
        if self.left == 0 {
            return Reply::ready(Err(gone()));
        }
        self.left -= 1;
        self.inner.write(bytes)
    }

    fn complete(self: Box<Self>) -> Reply<'static, Result<String, RepositoryError>> {
        self.inner.complete()
    }

    fn abort(self: Box<Self>) -> Reply<'static, ()> {
        self.inner.abort()
    }
}

struct FaultyDownload {
    inner: Box<dyn Download>,
    flips: bool,
}

impl Download for FaultyDownload {
    fn next(&mut self) -> Reply<'_, Result<Option<Bytes>, RepositoryError>> {
        Reply::waiting(async move {
            let bytes = self.inner.next().await?;
            Ok(bytes.map(|bytes| {
                let mut bytes = bytes.to_vec();
                if let Some(last) = bytes.last_mut()
                    && self.flips
                {
                    *last ^= 1;
                }
                bytes.into()
            }))
        })
    }
}
