//! A folder of this machine, or one that is mounted.

use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use rustix::fs::{Advice, CWD, RenameFlags};
use tokio::fs::{self, File, OpenOptions};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::error::{RepositoryError, Trouble};
use super::{Download, Object, Reply, Repository, Upload, is_plain};

/// How much is read at once.
const READ_BYTES: usize = 256 * 1_024;

/// The end of the name of what is not finished. It begins with a dot, so it is no object.
const UNFINISHED: &str = ".unfinished";

/// A folder with a file for each object. Files are for their owner alone.
#[derive(Clone, Debug)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder at `path`. It is made when something is written to it.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    async fn remove_unfinished(&self) -> Result<(), RepositoryError> {
        for name in self.names().await? {
            if name.starts_with('.') && name.ends_with(UNFINISHED) {
                self.remove_file(&name).await?;
            }
        }
        Ok(())
    }

    async fn begin(&self, name: &str) -> Result<FolderUpload, RepositoryError> {
        self.check(name)?;
        let failed = |error| self.failed("", &error);
        let mut builder = fs::DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(&self.path)
            .await
            .map_err(failed)?;
        let mut random = [0; 8];
        getrandom::fill(&mut random).map_err(|error| self.failed(name, &io::Error::other(error)))?;
        let staged = format!(".{name}.{:016x}{UNFINISHED}", u64::from_be_bytes(random));
        let mut options = OpenOptions::new();
        let opening = options
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(self.path.join(&staged));
        let file = opening.await.map_err(|error| self.failed(name, &error))?;
        Ok(FolderUpload {
            folder: self.clone(),
            staged: Some(staged),
            file,
        })
    }

    async fn publish_file(&self, staged: &str, name: &str) -> Result<(), RepositoryError> {
        self.check(name)?;
        let (from, to) = (self.path.join(staged), self.path.join(name));
        match rustix::fs::renameat_with(CWD, &from, CWD, &to, RenameFlags::NOREPLACE) {
            Ok(()) => {}
            // Some file systems cannot do that. Between the look and the rename somebody else may be faster there.
            Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS | rustix::io::Errno::OPNOTSUPP) => {
                if fs::try_exists(&to)
                    .await
                    .map_err(|error| self.failed(name, &error))?
                {
                    return Err(self.trouble(name, Trouble::Exists));
                }
                fs::rename(&from, &to)
                    .await
                    .map_err(|error| self.failed(name, &error))?;
            }
            Err(error) => return Err(self.failed(name, &error.into())),
        }
        self.sync().await
    }

    async fn put_file(&self, name: &str, content: &Bytes) -> Result<(), RepositoryError> {
        let mut upload = self.begin(name).await?;
        upload.add(content).await?;
        let staged = upload.end().await?;
        let renamed = fs::rename(self.path.join(&staged), self.path.join(name)).await;
        renamed.map_err(|error| self.failed(name, &error))?;
        self.sync().await
    }

    /// Makes names durable.
    async fn sync(&self) -> Result<(), RepositoryError> {
        let synced = async { File::open(&self.path).await?.sync_all().await };
        synced.await.map_err(|error| self.failed("", &error))
    }

    async fn remove_file(&self, name: &str) -> Result<(), RepositoryError> {
        match fs::remove_file(self.path.join(name)).await {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed(name, &error)),
            _ => Ok(()),
        }
    }

    /// Every name in the folder; none when there is no folder.
    async fn names(&self) -> Result<Vec<String>, RepositoryError> {
        let failed = |error| self.failed("", &error);
        let mut entries = match fs::read_dir(&self.path).await {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(failed(error)),
        };
        let mut names = Vec::new();
        while let Some(entry) = entries.next_entry().await.map_err(failed)? {
            names.extend(entry.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    async fn objects(&self) -> Result<Vec<Object>, RepositoryError> {
        let mut objects = Vec::new();
        for name in self.names().await? {
            if !is_plain(&name) {
                continue;
            }
            match fs::metadata(self.path.join(&name)).await {
                Ok(metadata) if metadata.is_file() => objects.push(Object {
                    name,
                    bytes: metadata.len(),
                }),
                Ok(_) => {}
                // It was removed meanwhile.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(self.failed(&name, &error)),
            }
        }
        Ok(objects)
    }

    fn check(&self, name: &str) -> Result<(), RepositoryError> {
        if is_plain(name) {
            Ok(())
        } else {
            Err(self.trouble(name, Trouble::Name))
        }
    }

    fn trouble(&self, name: &str, trouble: Trouble) -> RepositoryError {
        let place = self.show(name);
        RepositoryError { place, trouble }
    }

    fn failed(&self, name: &str, error: &io::Error) -> RepositoryError {
        let trouble = match error.kind() {
            io::ErrorKind::NotFound => Trouble::NotFound,
            io::ErrorKind::AlreadyExists => Trouble::Exists,
            io::ErrorKind::PermissionDenied
            | io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::ReadOnlyFilesystem => Trouble::Refused(error.to_string()),
            _ => Trouble::Unavailable(error.to_string()),
        };
        self.trouble(name, trouble)
    }
}

impl Repository for Folder {
    fn create<'a>(&'a self, name: &'a str) -> Reply<'a, Result<Box<dyn Upload>, RepositoryError>> {
        Reply::waiting(async move {
            let upload = self.begin(name).await?;
            Ok(Box::new(upload) as Box<dyn Upload>)
        })
    }

    fn publish<'a>(&'a self, staged: &'a str, name: &'a str) -> Reply<'a, Result<(), RepositoryError>> {
        Reply::waiting(self.publish_file(staged, name))
    }

    fn put<'a>(&'a self, name: &'a str, content: Bytes) -> Reply<'a, Result<(), RepositoryError>> {
        Reply::waiting(async move { self.put_file(name, &content).await })
    }

    fn open<'a>(&'a self, name: &'a str) -> Reply<'a, Result<Box<dyn Download>, RepositoryError>> {
        Reply::waiting(async move {
            let file = File::open(self.path.join(name)).await;
            let file = file.map_err(|error| self.failed(name, &error))?;
            let folder = self.clone();
            let name = name.to_owned();
            Ok(Box::new(FolderDownload { folder, name, file }) as Box<dyn Download>)
        })
    }

    fn list(&self) -> Reply<'_, Result<Vec<Object>, RepositoryError>> {
        Reply::waiting(self.objects())
    }

    fn remove<'a>(&'a self, name: &'a str) -> Reply<'a, Result<(), RepositoryError>> {
        Reply::waiting(self.remove_file(name))
    }

    fn clean(&self) -> Reply<'_, Result<(), RepositoryError>> {
        Reply::waiting(self.remove_unfinished())
    }

    fn show(&self, name: &str) -> String {
        let path = match name {
            "" => self.path.clone(),
            name => self.path.join(name),
        };
        path.display().to_string()
    }
}

struct FolderUpload {
    folder: Folder,
    /// The name of the file until it is complete.
    staged: Option<String>,
    file: File,
}

impl FolderUpload {
    async fn add(&mut self, bytes: &Bytes) -> Result<(), RepositoryError> {
        let written = self.file.write_all(bytes).await;
        written.map_err(|error| self.failed(&error))
    }

    async fn end(mut self) -> Result<String, RepositoryError> {
        let synced = async {
            self.file.flush().await?;
            self.file.sync_all().await?;
            // What is read back shall come from the disk and not from memory. A file system that cannot do that is no
            // reason to fail.
            let _ = rustix::fs::fadvise(self.file.as_fd(), 0, None, Advice::DontNeed);
            Ok(())
        };
        synced.await.map_err(|error| self.failed(&error))?;
        Ok(self.staged.take().unwrap_or_default())
    }

    fn failed(&self, error: &io::Error) -> RepositoryError {
        self.folder.failed("", error)
    }
}

impl Upload for FolderUpload {
    fn write(&mut self, bytes: Bytes) -> Reply<'_, Result<(), RepositoryError>> {
        Reply::waiting(async move { self.add(&bytes).await })
    }

    fn complete(self: Box<Self>) -> Reply<'static, Result<String, RepositoryError>> {
        Reply::waiting(self.end())
    }

    fn abort(self: Box<Self>) -> Reply<'static, ()> {
        Reply::ready(())
    }
}

impl Drop for FolderUpload {
    fn drop(&mut self) {
        if let Some(staged) = &self.staged {
            // Without it, something that is no object stays behind.
            let _ = std::fs::remove_file(self.folder.path.join(staged));
        }
    }
}

struct FolderDownload {
    folder: Folder,
    name: String,
    file: File,
}

impl Download for FolderDownload {
    fn next(&mut self) -> Reply<'_, Result<Option<Bytes>, RepositoryError>> {
        Reply::waiting(async move {
            let mut bytes = BytesMut::with_capacity(READ_BYTES);
            let read = self.file.read_buf(&mut bytes).await;
            let count = read.map_err(|error| self.folder.failed(&self.name, &error))?;
            Ok((count > 0).then(|| bytes.freeze()))
        })
    }
}
