//! Where people say that a backup is: a path, or `s3://bucket/key`.

use std::path::Path;
use std::sync::Arc;

use super::error::RepositoryError;
use super::{Download, Folder, Reply, Repository, S3, S3Options, is_plain};

/// An object of a repository.
#[derive(Clone, Debug)]
pub struct Place {
    /// Where it is.
    pub repository: Arc<dyn Repository>,
    /// Its name there.
    pub name: String,
}

/// A text that is no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidPlace(pub(super) String);

/// The repository at `text`: a folder, or `s3://bucket/prefix`.
pub fn repository(text: &str, s3: &S3Options) -> Result<Arc<dyn Repository>, InvalidPlace> {
    match bucket_and_key(text)? {
        Some((bucket, prefix)) => {
            let prefix = prefix.trim_end_matches('/');
            let prefix = if prefix.is_empty() {
                String::new()
            } else {
                format!("{prefix}/")
            };
            Ok(Arc::new(S3::new(bucket, &prefix, s3)?))
        }
        None if text.is_empty() => Err(InvalidPlace("the name of a folder is empty".to_owned())),
        None => Ok(Arc::new(Folder::new(text))),
    }
}

/// Bucket and key of an S3 URL; `None` for a path.
fn bucket_and_key(text: &str) -> Result<Option<(&str, &str)>, InvalidPlace> {
    let Some((scheme, rest)) = text.split_once("://") else {
        return Ok(None);
    };
    if scheme != "s3" {
        return Err(InvalidPlace(format!(
            "`{scheme}://` is nowhere a backup can be: write a path, or s3://bucket/key"
        )));
    }
    let (bucket, key) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err(InvalidPlace(format!(
            "`{text}` names no bucket: write s3://bucket/key"
        )));
    }
    Ok(Some((bucket, key)))
}

impl Place {
    /// The place at `text`. Where it is a folder, or ends with `/`, it has no name yet, and `None` stands for it.
    ///
    /// Looks whether a folder exists: blocks shortly.
    pub fn parse(text: &str, s3: &S3Options) -> Result<(Arc<dyn Repository>, Option<String>), InvalidPlace> {
        let (repository, name): (Arc<dyn Repository>, &str) = match bucket_and_key(text)? {
            Some((bucket, key)) => {
                let (prefix, name) = key
                    .rsplit_once('/')
                    .map_or(("", key), |(prefix, name)| (prefix, name));
                let prefix = if prefix.is_empty() {
                    String::new()
                } else {
                    format!("{prefix}/")
                };
                (Arc::new(S3::new(bucket, &prefix, s3)?), name)
            }
            None if text.is_empty() => return Err(InvalidPlace("the name of a file is empty".to_owned())),
            None if text.ends_with('/') || Path::new(text).is_dir() => (Arc::new(Folder::new(text)), ""),
            None => {
                let path = Path::new(text);
                let folder = path.parent().filter(|folder| *folder != Path::new(""));
                let name = path
                    .file_name()
                    .and_then(|name| name.to_str())
                    .unwrap_or_default();
                let folder = Folder::new(folder.unwrap_or(Path::new(".")));
                (Arc::new(folder), name)
            }
        };
        if name.is_empty() {
            return Ok((repository, None));
        }
        if !is_plain(name) {
            return Err(InvalidPlace(format!(
                "`{name}` cannot be the name of a backup: it needs 1 to 200 letters, digits, `-`, `_` and `.`, the first of \
                 which is no `.`"
            )));
        }
        Ok((repository, Some(name.to_owned())))
    }

    /// Its path or URL, for people.
    pub fn show(&self) -> String {
        self.repository.show(&self.name)
    }

    /// Reads it.
    pub fn open(&self) -> Reply<'_, Result<Box<dyn Download>, RepositoryError>> {
        self.repository.open(&self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3() -> S3Options {
        S3Options {
            access_key: Some("key".to_owned()),
            secret_key: Some("secret".to_owned()),
            ..S3Options::default()
        }
    }

    #[test]
    fn paths_and_urls_are_taken_apart() {
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().to_str().unwrap();
        for (text, shown, name) in [
            (
                format!("{here}/a.backup"),
                format!("{here}/a.backup"),
                Some("a.backup"),
            ),
            (here.to_owned(), here.to_owned(), None),
            (format!("{here}/new/"), format!("{here}/new/"), None),
            ("a.backup".to_owned(), "./a.backup".to_owned(), Some("a.backup")),
            (
                "s3://b/x/y/a.backup".to_owned(),
                "s3://b/x/y/a.backup".to_owned(),
                Some("a.backup"),
            ),
            ("s3://b/x/".to_owned(), "s3://b/x/".to_owned(), None),
            ("s3://b".to_owned(), "s3://b/".to_owned(), None),
        ] {
            let (repository, found) = Place::parse(&text, &s3()).unwrap();
            assert_eq!(found.as_deref(), name, "{text}");
            assert_eq!(repository.show(name.unwrap_or_default()), shown, "{text}");
        }
        assert_eq!(repository("s3://b/x", &s3()).unwrap().show("y"), "s3://b/x/y");
    }

    #[test]
    fn other_places_are_refused() {
        for (text, part) in [
            ("", "empty"),
            ("ftp://host/x", "`ftp://` is nowhere"),
            ("s3://", "names no bucket"),
            ("s3:///key", "names no bucket"),
            ("/backups/a b", "cannot be the name"),
            ("/backups/.hidden", "cannot be the name"),
        ] {
            let error = Place::parse(text, &s3()).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
