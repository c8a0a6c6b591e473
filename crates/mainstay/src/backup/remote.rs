//! The store of a running system, over its control API.

use std::time::Duration;

use http_body_util::BodyExt as _;
use mainstay_backup::format::Record;
use mainstay_backup::{Incoming, Source, SourceError};
use mainstay_mesh::Body;
use mainstay_store::Version;

use super::refused;
use crate::client::Control;
use crate::failure::Failure;

/// How long the next bytes may take: the system may be busy, and its disk slow.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// What a running system sends.
pub(super) struct Remote {
    body: Body,
    incoming: Incoming,
    at: Version,
    /// What came with the beginning.
    first: Vec<Record>,
}

impl Remote {
    /// Asks for the present moment, and waits for its beginning.
    pub(super) async fn open(control: &Control) -> Result<Self, Failure> {
        let mut remote = Self {
            body: control.stream("/api/backup").await?,
            incoming: Incoming::new(),
            at: Version::ZERO,
            first: Vec::new(),
        };
        loop {
            if let Some(at) = remote.incoming.begin() {
                remote.at = at;
                return Ok(remote);
            }
            match remote.receive().await {
                Ok(Some(records)) => remote.first.extend(records),
                Ok(None) => return Err(Failure::refused("the system sent nothing")),
                Err(error) => return Err(refused(&error.into())),
            }
        }
    }

    async fn receive(&mut self) -> Result<Option<Vec<Record>>, SourceError> {
        let frame = tokio::time::timeout(STALL_TIMEOUT, self.body.frame()).await;
        let broke_off = |reason: String| SourceError(format!("the system broke off: {reason}"));
        let frame = frame.map_err(|_| broke_off("nothing came for a minute".to_owned()))?;
        match frame {
            Some(Ok(frame)) => {
                let bytes = frame.into_data().unwrap_or_default();
                self.incoming.push(&bytes).map(Some)
            }
            Some(Err(error)) => Err(broke_off(error.to_string())),
            None if self.incoming.is_complete() => Ok(None),
            None => Err(broke_off("what it sent has no end".to_owned())),
        }
    }
}

impl Source for Remote {
    fn at(&self) -> Version {
        self.at
    }

    async fn next(&mut self) -> Result<Option<Vec<Record>>, SourceError> {
        if self.first.is_empty() {
            self.receive().await
        } else {
            Ok(Some(std::mem::take(&mut self.first)))
        }
    }
}
