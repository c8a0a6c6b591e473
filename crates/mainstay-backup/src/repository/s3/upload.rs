//! Writing an object: at once when it is small, else in parts, one of which is on its way while the next is made.

use bytes::Bytes;
use http::header::ETAG;
use rusty_s3::actions::{CompleteMultipartUploadResponse, CreateMultipartUpload};
use tokio::task::JoinHandle;

use super::S3;
use super::client::Extra;
use crate::repository::error::{RepositoryError, Trouble};
use crate::repository::{Reply, Repository as _, Upload};

/// The first parts. S3 wants 5 MiB at least.
const PART_BYTES: usize = 8 * 1_024 * 1_024;

/// After so many parts they double, so that 10,000, the most there may be, hold some 300 GiB.
const PARTS_OF_A_SIZE: usize = 2_500;

pub(super) struct S3Upload {
    s3: S3,
    name: String,
    buffer: Vec<u8>,
    /// Absent while it may still be small.
    id: Option<String>,
    etags: Vec<String>,
    on_its_way: Option<JoinHandle<Result<String, RepositoryError>>>,
}

impl S3Upload {
    pub(super) fn new(s3: S3, name: &str) -> Self {
        Self {
            s3,
            name: name.to_owned(),
            buffer: Vec::new(),
            id: None,
            etags: Vec::new(),
            on_its_way: None,
        }
    }

    fn part_bytes(&self) -> usize {
        PART_BYTES << (self.etags.len() / PARTS_OF_A_SIZE).min(3)
    }

    async fn add(&mut self, bytes: &Bytes) -> Result<(), RepositoryError> {
        self.buffer.extend_from_slice(bytes);
        while self.buffer.len() >= self.part_bytes() {
            let rest = self.buffer.split_off(self.part_bytes());
            let part = std::mem::replace(&mut self.buffer, rest);
            self.part(part.into()).await?;
        }
        Ok(())
    }

    /// Sends a part, once the one before it has arrived.
    async fn part(&mut self, part: Bytes) -> Result<(), RepositoryError> {
        let id = if let Some(id) = &self.id {
            id.clone()
        } else {
            let id = self.begin().await?;
            self.id.insert(id).clone()
        };
        self.arrive().await?;
        let number = u16::try_from(self.etags.len() + 1).map_err(|_| {
            self.s3
                .error(&self.name, Trouble::Refused("it is too large".to_owned()))
        })?;
        let (s3, name) = (self.s3.clone(), self.name.clone());
        self.on_its_way = Some(tokio::spawn(async move {
            send(&s3, &name, (&id, number), part).await
        }));
        Ok(())
    }

    async fn begin(&self) -> Result<String, RepositoryError> {
        let key = self.s3.key(&self.name)?;
        let client = &self.s3.client;
        let action = client
            .bucket()
            .create_multipart_upload(Some(client.credentials()), &key);
        let answer = client
            .ask(&action, &Extra::default(), || self.s3.show(&self.name))
            .await?;
        let created = CreateMultipartUpload::parse_response(&answer);
        let created = created.map_err(|error| self.senseless(&error.to_string()))?;
        Ok(created.upload_id().to_owned())
    }

    async fn arrive(&mut self) -> Result<(), RepositoryError> {
        if let Some(part) = self.on_its_way.take() {
            let etag = part.await.map_err(|error| self.senseless(&error.to_string()))?;
            self.etags.push(etag?);
        }
        Ok(())
    }

    async fn end(mut self) -> Result<String, RepositoryError> {
        let ended = self.try_end().await;
        if ended.is_err() {
            self.give_up().await;
        }
        ended.map(|()| std::mem::take(&mut self.name))
    }

    async fn try_end(&mut self) -> Result<(), RepositoryError> {
        let rest = Bytes::from(std::mem::take(&mut self.buffer));
        if self.id.is_none() {
            return self.s3.put_object(&self.name, rest).await;
        }
        if !rest.is_empty() {
            self.part(rest).await?;
        }
        self.arrive().await?;
        let key = self.s3.key(&self.name)?;
        let client = &self.s3.client;
        let id = self.id.as_deref().unwrap_or_default();
        let etags = self.etags.iter().map(String::as_str);
        let action =
            client
                .bucket()
                .complete_multipart_upload(Some(client.credentials()), &key, id, etags.clone());
        let body = client
            .bucket()
            .complete_multipart_upload(Some(client.credentials()), &key, id, etags)
            .body();
        let extra = Extra {
            body: body.into(),
            from: 0,
        };
        let answer = client.ask(&action, &extra, || self.s3.show(&self.name)).await?;
        // It may say at its end that it failed, although it began well.
        let completed = CompleteMultipartUploadResponse::parse(&answer);
        completed
            .map(drop)
            .map_err(|error| self.senseless(&error.to_string()))
    }

    /// What was sent costs space until it is given up.
    async fn give_up(&mut self) {
        if let Some(part) = self.on_its_way.take() {
            part.abort();
            let _ = part.await;
        }
        let (Some(id), Ok(key)) = (self.id.take(), self.s3.key(&self.name)) else {
            return;
        };
        let client = &self.s3.client;
        let action = client
            .bucket()
            .abort_multipart_upload(Some(client.credentials()), &key, &id);
        let given_up = client
            .ask(&action, &Extra::default(), || self.s3.show(&self.name))
            .await;
        if let Err(error) = given_up {
            tracing::warn!(%error, "the parts of an upload that failed are still in the bucket");
        }
    }

    fn senseless(&self, what: &str) -> RepositoryError {
        let reason = format!("the endpoint answered something else than S3 does: {what}");
        self.s3.error(&self.name, Trouble::Refused(reason))
    }
}

async fn send(
    s3: &S3,
    name: &str,
    (id, number): (&str, u16),
    body: Bytes,
) -> Result<String, RepositoryError> {
    let key = s3.key(name)?;
    let client = &s3.client;
    let action = client
        .bucket()
        .upload_part(Some(client.credentials()), &key, number, id);
    let extra = Extra { body, from: 0 };
    let response = client.send(&action, &extra, || s3.show(name)).await?;
    let etag = response.headers().get(ETAG).and_then(|etag| etag.to_str().ok());
    let etag = etag.ok_or_else(|| {
        s3.error(
            name,
            Trouble::Refused("a part was answered without ETag".to_owned()),
        )
    })?;
    Ok(etag.to_owned())
}

impl Upload for S3Upload {
    fn write(&mut self, bytes: Bytes) -> Reply<'_, Result<(), RepositoryError>> {
        Reply::waiting(async move { self.add(&bytes).await })
    }

    fn complete(self: Box<Self>) -> Reply<'static, Result<String, RepositoryError>> {
        Reply::waiting(self.end())
    }

    fn abort(mut self: Box<Self>) -> Reply<'static, ()> {
        Reply::waiting(async move { self.give_up().await })
    }
}
