//! Reading an object, and going on where a connection broke off.

use std::time::Duration;

use bytes::Bytes;
use http::header::ETAG;
use http::{HeaderValue, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::S3;
use super::client::{Extra, chain};
use crate::repository::error::{RepositoryError, Trouble};
use crate::repository::{Download, Reply, Repository as _};

/// How long the next bytes may take.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// How often one object is gone on with.
const MAX_RESUMES: u32 = 20;

pub(super) struct S3Download {
    s3: S3,
    name: String,
    key: String,
    body: Incoming,
    /// Tells this object from a later one of its name.
    etag: Option<HeaderValue>,
    at: u64,
    resumes: u32,
}

impl S3Download {
    pub(super) async fn open(s3: S3, name: &str) -> Result<Self, RepositoryError> {
        let key = s3.key(name)?;
        let (body, etag, _) = request(&s3, name, &key, 0).await?;
        Ok(Self {
            name: name.to_owned(),
            s3,
            key,
            body,
            etag,
            at: 0,
            resumes: 0,
        })
    }

    async fn more(&mut self) -> Result<Option<Bytes>, RepositoryError> {
        loop {
            let reason = match tokio::time::timeout(STALL_TIMEOUT, self.body.frame()).await {
                Ok(None) => return Ok(None),
                Ok(Some(Ok(frame))) => match frame.into_data() {
                    Ok(bytes) => {
                        self.at += bytes.len() as u64;
                        return Ok(Some(bytes));
                    }
                    // Trailers.
                    Err(_) => continue,
                },
                Ok(Some(Err(error))) => chain(&error),
                Err(_) => "nothing came for a minute".to_owned(),
            };
            self.resumes += 1;
            if self.resumes > MAX_RESUMES {
                return Err(self.s3.error(&self.name, Trouble::Unavailable(reason)));
            }
            self.resume().await?;
        }
    }

    async fn resume(&mut self) -> Result<(), RepositoryError> {
        let (body, etag, status) = request(&self.s3, &self.name, &self.key, self.at).await?;
        let goes_on = self.at == 0 || status == StatusCode::PARTIAL_CONTENT;
        if !goes_on || etag != self.etag {
            let reason =
                "it broke off, and could not be gone on with: the object is another one now".to_owned();
            return Err(self.s3.error(&self.name, Trouble::Refused(reason)));
        }
        self.body = body;
        Ok(())
    }
}

async fn request(
    s3: &S3,
    name: &str,
    key: &str,
    from: u64,
) -> Result<(Incoming, Option<HeaderValue>, StatusCode), RepositoryError> {
    let client = &s3.client;
    let action = client.bucket().get_object(Some(client.credentials()), key);
    let extra = Extra {
        body: Bytes::new(),
        from,
    };
    let response = client.send(&action, &extra, || s3.show(name)).await?;
    let etag = response.headers().get(ETAG).cloned();
    let status = response.status();
    Ok((response.into_body(), etag, status))
}

impl Download for S3Download {
    fn next(&mut self) -> Reply<'_, Result<Option<Bytes>, RepositoryError>> {
        Reply::waiting(self.more())
    }
}
