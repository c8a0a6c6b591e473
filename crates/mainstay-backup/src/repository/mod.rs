//! Where containers are kept: the port of a folder and of a bucket.

mod error;
mod folder;
mod place;
mod s3;

use std::fmt;

use bytes::Bytes;
pub use mainstay_base::Reply;

pub use error::{RepositoryError, Trouble};
pub use folder::Folder;
pub use place::{InvalidPlace, Place, repository};
pub use s3::{S3, S3Options};

/// Objects by their names, each written as a whole.
///
/// 1. An object MUST be seen under its name as a whole or not at all, whatever happens while it is written.
/// 2. What was published or put MUST be durable when that is answered.
/// 3. Names are plain: letters, digits, `-`, `_` and `.`, without `/`, not beginning with `.`.
///
/// Dropping a future leaves it open whether it took effect.
pub trait Repository: Send + Sync + fmt::Debug {
    /// Begins an object that is too large for memory.
    fn create<'a>(&'a self, name: &'a str) -> Reply<'a, Result<Box<dyn Upload>, RepositoryError>>;

    /// Gives what an upload has completed its name. One that has it already is never replaced.
    fn publish<'a>(&'a self, staged: &'a str, name: &'a str) -> Reply<'a, Result<(), RepositoryError>>;

    /// Writes a small object, and replaces one of the same name.
    fn put<'a>(&'a self, name: &'a str, content: Bytes) -> Reply<'a, Result<(), RepositoryError>>;

    /// Reads an object.
    fn open<'a>(&'a self, name: &'a str) -> Reply<'a, Result<Box<dyn Download>, RepositoryError>>;

    /// All objects, sorted by name.
    fn list(&self) -> Reply<'_, Result<Vec<Object>, RepositoryError>>;

    /// Removes an object; one that does not exist is no error.
    fn remove<'a>(&'a self, name: &'a str) -> Reply<'a, Result<(), RepositoryError>>;

    /// Removes what writers left behind whose process ended. For a repository that nobody else writes to.
    fn clean(&self) -> Reply<'_, Result<(), RepositoryError>>;

    /// An object's path or URL, for people.
    fn show(&self, name: &str) -> String;
}

/// An object that is being written.
pub trait Upload: Send {
    /// Adds bytes. Not cancel safe.
    fn write(&mut self, bytes: Bytes) -> Reply<'_, Result<(), RepositoryError>>;

    /// Makes it durable. Gives the name under which it can be read until it is published.
    fn complete(self: Box<Self>) -> Reply<'static, Result<String, RepositoryError>>;

    /// Removes what was written.
    fn abort(self: Box<Self>) -> Reply<'static, ()>;
}

/// An object that is being read.
pub trait Download: Send {
    /// The next bytes; `None` after the last. Not cancel safe.
    fn next(&mut self) -> Reply<'_, Result<Option<Bytes>, RepositoryError>>;
}

/// An object in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its name.
    pub name: String,
    /// Its size.
    pub bytes: u64,
}

/// Whether an object may have this name.
fn is_plain(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (1..=200).contains(&name.len()) && !name.starts_with('.') && name.bytes().all(plain)
}
