//! The files of the project, as git sees them.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result};

use crate::process::{output, tool};

/// Every file that is tracked or about to be: path with forward slashes, and its text where it is text.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    files: BTreeMap<String, Option<String>>,
}

impl Tree {
    /// Reads the files below `root` that git does not ignore.
    ///
    /// # Errors
    /// When git cannot list them or one of them cannot be read.
    pub(crate) fn read(root: &Path) -> Result<Self> {
        let listing =
            output(tool("git").args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]))
                .context("tidy asks git which files belong to the project")?;
        let mut files = BTreeMap::new();
        for path in listing.split('\0').filter(|path| !path.is_empty()) {
            let full = root.join(path);
            if !full.is_file() {
                continue; // deleted and not yet committed, or a submodule
            }
            let bytes = std::fs::read(&full).with_context(|| format!("cannot read {path}"))?;
            files.insert(path.to_owned(), String::from_utf8(bytes).ok());
        }
        Ok(Self { files })
    }

    /// Paths and texts of the text files.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files
            .iter()
            .filter_map(|(path, text)| Some((path.as_str(), text.as_deref()?)))
    }

    /// The text of the file at `path`.
    pub(crate) fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path)?.as_deref()
    }

    /// Whether `path` is a file or a folder with files; the empty path is the root.
    pub(crate) fn contains(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        path.is_empty()
            || self.files.contains_key(path)
            || self
                .files
                .range(folder.clone()..)
                .next()
                .is_some_and(|(file, _)| file.starts_with(&folder))
    }
}

/// Whether the name of the file at `path` ends in `.extension`.
pub(crate) fn has_extension(path: &str, extension: &str) -> bool {
    Path::new(path)
        .extension()
        .is_some_and(|found| found == extension)
}

#[cfg(test)]
impl<const N: usize, T: ToString + ?Sized> From<[(&str, &T); N]> for Tree {
    fn from(files: [(&str, &T); N]) -> Self {
        Self {
            files: files
                .into_iter()
                .map(|(path, text)| (path.to_owned(), Some(text.to_string())))
                .collect(),
        }
    }
}
