//! A bucket behind the protocol of Amazon's S3, which many stores of objects speak.

mod client;
mod download;
mod options;
mod upload;

use std::sync::Arc;

use bytes::Bytes;
use rusty_s3::actions::ListObjectsV2;

use self::client::{Extra, S3Client};
pub use self::options::S3Options;
use super::error::{RepositoryError, Trouble};
use super::place::InvalidPlace;
use super::{Download, Object, Reply, Repository, Upload, is_plain};

/// Most pages of a list: a thousand objects each.
const MAX_LIST_PAGES: usize = 1_000;

/// The objects of a bucket whose keys begin with a prefix.
#[derive(Clone, Debug)]
pub struct S3 {
    client: Arc<S3Client>,
    prefix: String,
}

impl S3 {
    /// The objects of `bucket` whose keys begin with `prefix`, which is empty or ends with `/`.
    pub(crate) fn new(bucket: &str, prefix: &str, options: &S3Options) -> Result<Self, InvalidPlace> {
        // Such segments would be resolved by the URL.
        if prefix.starts_with('/') || prefix.split('/').any(|part| part == "." || part == "..") {
            return Err(InvalidPlace(format!(
                "`{prefix}` cannot begin the keys of a bucket"
            )));
        }
        Ok(Self {
            client: Arc::new(S3Client::new(bucket, options)?),
            prefix: prefix.to_owned(),
        })
    }

    /// Makes the bucket, for tests: whoever keeps backups has made it.
    #[cfg(feature = "test-server")]
    pub(crate) async fn make_bucket(&self) -> Result<(), RepositoryError> {
        let client = &self.client;
        let action = rusty_s3::actions::CreateBucket::new(client.bucket(), client.credentials());
        client
            .ask(&action, &Extra::default(), || self.show(""))
            .await
            .map(drop)
    }

    fn key(&self, name: &str) -> Result<String, RepositoryError> {
        if is_plain(name) {
            Ok(format!("{}{name}", self.prefix))
        } else {
            Err(self.error(name, Trouble::Name))
        }
    }

    fn error(&self, name: &str, trouble: Trouble) -> RepositoryError {
        let place = self.show(name);
        RepositoryError { place, trouble }
    }

    async fn put_object(&self, name: &str, body: Bytes) -> Result<(), RepositoryError> {
        let key = self.key(name)?;
        let client = &self.client;
        let action = client.bucket().put_object(Some(client.credentials()), &key);
        let extra = Extra { body, from: 0 };
        client.ask(&action, &extra, || self.show(name)).await.map(drop)
    }

    async fn exists(&self, name: &str) -> Result<bool, RepositoryError> {
        let key = self.key(name)?;
        let client = &self.client;
        let action = client.bucket().head_object(Some(client.credentials()), &key);
        match client.send(&action, &Extra::default(), || self.show(name)).await {
            Ok(_) => Ok(true),
            Err(error) if error.trouble == Trouble::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn objects(&self) -> Result<Vec<Object>, RepositoryError> {
        let client = &self.client;
        let mut objects = Vec::new();
        let mut next: Option<String> = None;
        for _ in 0..MAX_LIST_PAGES {
            let mut action = client.bucket().list_objects_v2(Some(client.credentials()));
            action.with_prefix(self.prefix.as_str());
            if let Some(token) = &next {
                action.with_continuation_token(token.as_str());
            }
            let answer = client.ask(&action, &Extra::default(), || self.show("")).await?;
            let page = ListObjectsV2::parse_response(&answer);
            let page =
                page.map_err(|error| self.error("", Trouble::Refused(format!("no S3 list: {error}"))))?;
            objects.extend(page.contents.into_iter().filter_map(|object| {
                let name = object.key.strip_prefix(&self.prefix)?;
                let bytes = object.size.unwrap_or_default();
                let name = name.to_owned();
                is_plain(&name).then_some(Object { name, bytes })
            }));
            next = page.next_continuation_token;
            if next.is_none() {
                objects.sort_unstable_by(|one, other| one.name.cmp(&other.name));
                return Ok(objects);
            }
        }
        Err(self.error("", Trouble::Refused("there are too many objects".to_owned())))
    }

    async fn remove_object(&self, name: &str) -> Result<(), RepositoryError> {
        let key = self.key(name)?;
        let client = &self.client;
        let action = client.bucket().delete_object(Some(client.credentials()), &key);
        match client.ask(&action, &Extra::default(), || self.show(name)).await {
            Err(error) if error.trouble != Trouble::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

impl Repository for S3 {
    fn create<'a>(&'a self, name: &'a str) -> Reply<'a, Result<Box<dyn Upload>, RepositoryError>> {
        Reply::waiting(async move {
            self.key(name)?;
            // The object has its name as soon as it is complete, so this is when it can be refused.
            if self.exists(name).await? {
                return Err(self.error(name, Trouble::Exists));
            }
            Ok(Box::new(upload::S3Upload::new(self.clone(), name)) as Box<dyn Upload>)
        })
    }

    fn publish<'a>(&'a self, _: &'a str, _: &'a str) -> Reply<'a, Result<(), RepositoryError>> {
        Reply::ready(Ok(()))
    }

    fn put<'a>(&'a self, name: &'a str, content: Bytes) -> Reply<'a, Result<(), RepositoryError>> {
        Reply::waiting(self.put_object(name, content))
    }

    fn open<'a>(&'a self, name: &'a str) -> Reply<'a, Result<Box<dyn Download>, RepositoryError>> {
        Reply::waiting(async move {
            let download = download::S3Download::open(self.clone(), name).await?;
            Ok(Box::new(download) as Box<dyn Download>)
        })
    }

    fn list(&self) -> Reply<'_, Result<Vec<Object>, RepositoryError>> {
        Reply::waiting(self.objects())
    }

    fn remove<'a>(&'a self, name: &'a str) -> Reply<'a, Result<(), RepositoryError>> {
        Reply::waiting(self.remove_object(name))
    }

    /// Parts of uploads are seen by nobody; a rule of the bucket removes those that were left behind.
    fn clean(&self) -> Reply<'_, Result<(), RepositoryError>> {
        Reply::ready(Ok(()))
    }

    fn show(&self, name: &str) -> String {
        format!("s3://{}/{}{name}", self.client.bucket().name(), self.prefix)
    }
}
