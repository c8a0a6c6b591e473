//! Where backups are.

use std::sync::Arc;

use clap::Args;
use mainstay_backup::latest;
use mainstay_backup::repository::{Place, Repository, S3Options, repository};
use mainstay_store::Version;

use super::refused;
use crate::failure::Failure;

/// How an S3 endpoint is reached. Its keys come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
#[expect(clippy::doc_markdown, reason = "clap shows it as it is written")]
#[derive(Clone, Debug, Args)]
pub(crate) struct S3Args {
    /// The S3 endpoint, where it is not that of AWS; AWS_ENDPOINT_URL_S3 when absent
    #[arg(long, value_name = "URL")]
    s3_endpoint: Option<String>,
    /// Its region; AWS_REGION when absent
    #[arg(long, value_name = "NAME")]
    s3_region: Option<String>,
}

impl S3Args {
    fn options(&self) -> S3Options {
        let mut options = S3Options::from_environment(|name| std::env::var(name).ok());
        options.endpoint = self.s3_endpoint.clone().or(options.endpoint);
        options.region = self.s3_region.clone().or(options.region);
        options
    }

    /// The place at `text`. `name` is its name where it has none.
    pub(crate) fn place(&self, text: &str, name: impl FnOnce() -> String) -> Result<Place, Failure> {
        let (repository, found) = self.parts(text)?;
        let name = found.unwrap_or_else(name);
        Ok(Place { repository, name })
    }

    /// The backup at `text`, or, where that is many, the latest of those that are not later than `until`.
    pub(crate) async fn backup(&self, text: &str, until: Option<Version>) -> Result<Place, Failure> {
        match self.parts(text)? {
            (repository, Some(name)) => Ok(Place { repository, name }),
            (repository, None) => latest(&repository, until).await.map_err(|error| refused(&error)),
        }
    }

    /// The repository at `text`, and the object in it, if one is meant.
    pub(crate) fn parts(&self, text: &str) -> Result<(Arc<dyn Repository>, Option<String>), Failure> {
        Place::parse(text, &self.options()).map_err(|error| Failure::usage(error.to_string()))
    }

    /// The repository at `text`.
    pub(crate) fn repository(&self, text: &str) -> Result<Arc<dyn Repository>, Failure> {
        repository(text, &self.options()).map_err(|error| Failure::usage(error.to_string()))
    }
}
