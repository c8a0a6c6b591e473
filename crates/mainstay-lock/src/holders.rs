//! Who holds what, in the store.
//!
//! ```text
//! <prefix>h/<name>   format (1) │ expiry, 8 bytes │ owner    written when it is taken
//! <prefix>r/<name>   format (1) │ expiry, 8 bytes            written when it is renewed; goes when it is taken or released
//! ```
//!
//! The version of the first key is the fencing token: versions of a store only grow, so no token comes twice, whatever
//! expired or was deleted in between. A renewal has a key of its own so that the token of a grant stays what it is and a
//! [`Fence`] made once lasts as long as the grant. Expiries are milliseconds after the later of the two was written, big
//! endian; when that was, each reader has to judge for itself.

use std::fmt;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use mainstay_store::{
    Batch, CommitError, Key, KeyRange, Page, Scan, Store, Stored, Token, Value, Version, Watch,
};

use crate::error::LockError;
use crate::expiry::Expiry;
use crate::fence::Fence;
use crate::key::InvalidName;
use crate::port::FencingToken;

const FORMAT: u8 = 1;

/// How often a batch is committed until its outcome is known.
const MAX_SETTLING: usize = 4;

/// All that is held under one prefix of the store.
#[derive(Clone)]
pub(crate) struct Holders {
    store: Arc<dyn Store>,
    grants: Bytes,
    renewals: Bytes,
}

/// Something that is held, or was until it expired.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    pub owner: String,
    pub token: FencingToken,
    /// How long it lasts after [`Held::last_sign`].
    pub expiry: Expiry,
    renewal: Option<Version>,
}

impl Held {
    /// The commit by which the holder was heard of last.
    pub(crate) fn last_sign(&self) -> Version {
        self.renewal.unwrap_or(self.taken())
    }

    fn taken(&self) -> Version {
        Version::from_u64(self.token.as_u64())
    }

    #[cfg(test)]
    pub(crate) fn new(owner: &str, taken: u64, renewal: Option<u64>, expiry: Expiry) -> Self {
        Self {
            owner: owner.to_owned(),
            token: FencingToken::from_u64(taken),
            expiry,
            renewal: renewal.map(Version::from_u64),
        }
    }
}

impl Holders {
    pub(crate) fn new(store: Arc<dyn Store>, prefix: &str) -> Self {
        Self {
            store,
            grants: format!("{prefix}h/").into(),
            renewals: format!("{prefix}r/").into(),
        }
    }

    /// Who holds `name`, whether or not it has expired.
    pub(crate) async fn find(&self, name: &str) -> Result<Option<Held>, LockError> {
        let keys = [key(&self.grants, name)?, key(&self.renewals, name)?];
        let read = self.store.read(&keys).await?;
        let mut values = read.values.into_iter();
        let (holder, renewal) = (values.next().flatten(), values.next().flatten());
        holder.map(|holder| decode(name, holder, renewal)).transpose()
    }

    /// Makes `owner` the holder, if what was found is still so; `None` when it is not.
    pub(crate) async fn take(
        &self,
        name: &str,
        owner: &str,
        expiry: Expiry,
        found: Option<&Held>,
    ) -> Result<Option<FencingToken>, LockError> {
        let (holder, renewal) = (key(&self.grants, name)?, key(&self.renewals, name)?);
        let mut batch = Batch::new();
        batch.require_version(holder.clone(), found.map(Held::taken));
        batch.require_version(renewal.clone(), found.and_then(|held| held.renewal));
        batch.put(holder, encode(expiry, owner)?);
        batch.delete(renewal);
        let version = self.commit(batch).await?;
        Ok(version.map(|version| FencingToken::from_u64(version.as_u64())))
    }

    /// Lets the grant `token` last for `expiry` from now on; `None` when it is over. Gives the sign that this leaves.
    pub(crate) async fn renew(
        &self,
        name: &str,
        token: FencingToken,
        expiry: Expiry,
    ) -> Result<Option<Version>, LockError> {
        let mut batch = Batch::new();
        self.fence(name, token)?.protect(&mut batch);
        batch.put(key(&self.renewals, name)?, encode(expiry, "")?);
        self.commit(batch).await
    }

    /// Ends the grant `token`; whether it was not over already.
    pub(crate) async fn release(&self, name: &str, token: FencingToken) -> Result<bool, LockError> {
        let mut batch = Batch::new();
        self.fence(name, token)?.protect(&mut batch);
        batch.delete(key(&self.grants, name)?);
        batch.delete(key(&self.renewals, name)?);
        Ok(self.commit(batch).await?.is_some())
    }

    /// The same, unless the holder was heard of since it was found.
    pub(crate) async fn sweep(&self, name: &str, found: &Held) -> Result<bool, LockError> {
        let (holder, renewal) = (key(&self.grants, name)?, key(&self.renewals, name)?);
        let mut batch = Batch::new();
        batch.require_version(holder.clone(), Some(found.taken()));
        batch.require_version(renewal.clone(), found.renewal);
        batch.delete(holder);
        batch.delete(renewal);
        Ok(self.commit(batch).await?.is_some())
    }

    pub(crate) fn fence(&self, name: &str, token: FencingToken) -> Result<Fence, LockError> {
        Ok(Fence::new(key(&self.grants, name)?, token))
    }

    /// A page of all that is held, with what can be read of it.
    pub(crate) async fn page(
        &self,
        range: KeyRange,
        limit: usize,
    ) -> Result<(Vec<(String, Held)>, Option<KeyRange>), LockError> {
        let Page { entries, rest, .. } = self.store.scan(&Scan::new(range).limit(limit)).await?;
        let mut found = Vec::with_capacity(entries.len());
        for entry in entries {
            let name = entry.key.as_ref().strip_prefix(self.grants.as_ref());
            if let Some(name) = name.and_then(|name| std::str::from_utf8(name).ok()) {
                found.push((name.to_owned(), entry.value, entry.version));
            }
        }
        let renewals = found.iter().map(|(name, ..)| key(&self.renewals, name));
        let renewals = self.store.read(&renewals.collect::<Result<Vec<_>, _>>()?).await?;
        let held = found
            .into_iter()
            .zip(renewals.values)
            .filter_map(|((name, value, version), renewal)| {
                let held = decode(&name, Stored { value, version }, renewal).ok()?;
                Some((name, held))
            });
        Ok((held.collect(), rest))
    }

    /// Everything that [`Holders::page`] can show.
    pub(crate) fn range(&self) -> KeyRange {
        KeyRange::prefix(self.grants.clone())
    }

    /// Tells when `name`, or one that begins with it, is taken, renewed or released. Renewals come first: they wake most.
    pub(crate) fn watch(&self, name: &str) -> Result<(Watch, Watch), LockError> {
        let watch =
            |prefix: &Bytes| Ok::<_, LockError>(self.store.watch(key(prefix, name)?.as_bytes().clone()));
        Ok((watch(&self.renewals)?, watch(&self.grants)?))
    }

    /// Commits, and finds out what came of it: the batch has a token, so it may be committed again. `None` when a condition
    /// does not hold.
    async fn commit(&self, mut batch: Batch) -> Result<Option<Version>, LockError> {
        batch.set_token(random_token()?);
        let mut unknown = None;
        for _ in 0..MAX_SETTLING {
            match self.store.commit(batch.clone()).await {
                Ok(commit) => return Ok(Some(commit.version)),
                Err(CommitError::Conflict(_)) => return Ok(None),
                Err(error @ CommitError::UnknownOutcome(_)) => unknown = Some(error),
                // What an earlier attempt has come to is still not known.
                Err(error) => return Err(unknown.unwrap_or(error).into()),
            }
        }
        Err(unknown.unwrap_or(CommitError::Overloaded).into())
    }
}

fn key(prefix: &Bytes, name: &str) -> Result<Key, LockError> {
    let mut key = BytesMut::with_capacity(prefix.len() + name.len());
    key.put_slice(prefix);
    key.put_slice(name.as_bytes());
    // Sizes were checked with the request; the store has the last word.
    Key::new(key).map_err(|_| InvalidName::LongResource(name.len()).into())
}

fn encode(expiry: Expiry, owner: &str) -> Result<Value, LockError> {
    let mut bytes = BytesMut::with_capacity(9 + owner.len());
    bytes.put_u8(FORMAT);
    bytes.put_u64(expiry.as_millis());
    bytes.put_slice(owner.as_bytes());
    Value::new(bytes).map_err(|_| InvalidName::LongOwner(owner.len()).into())
}

fn decode(name: &str, holder: Stored, renewal: Option<Stored>) -> Result<Held, LockError> {
    let unreadable = || LockError::Unreadable(name.to_owned());
    let (mut expiry, owner) = parse(holder.value.into_bytes()).ok_or_else(unreadable)?;
    let renewed = renewal.as_ref().map(|stored| stored.version);
    if let Some(renewal) = renewal {
        (expiry, _) = parse(renewal.value.into_bytes()).ok_or_else(unreadable)?;
    }
    Ok(Held {
        owner,
        token: FencingToken::from_u64(holder.version.as_u64()),
        expiry,
        renewal: renewed,
    })
}

fn parse(mut bytes: Bytes) -> Option<(Expiry, String)> {
    if bytes.try_get_u8().ok()? != FORMAT {
        return None;
    }
    let millis = bytes.try_get_u64().ok()?;
    let expiry = Expiry::new(std::time::Duration::from_millis(millis)).ok()?;
    Some((expiry, String::from_utf8(bytes.to_vec()).ok()?))
}

fn random_token() -> Result<Token, LockError> {
    let mut bytes = vec![0; 16];
    getrandom::fill(&mut bytes).map_err(|_| LockError::NoRandomness)?;
    Token::new(bytes).map_err(|error| CommitError::from(error).into())
}

impl fmt::Debug for Holders {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Holders")
            .field("prefix", &self.grants)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::limits::{MAX_EXPIRY_SECONDS, MAX_OWNER_BYTES, MAX_RESOURCE_BYTES};

    #[test]
    fn the_largest_of_everything_fits() {
        let component = "n".repeat(crate::limits::MAX_NAME_BYTES);
        let prefix = Bytes::from(format!("lock/{component}/h/"));
        assert!(key(&prefix, &"r".repeat(MAX_RESOURCE_BYTES)).is_ok());
    }

    proptest! {
        #[test]
        fn holders_come_back(millis in 1..u64::from(MAX_EXPIRY_SECONDS) * 1_000, owner in ".{0,40}") {
            prop_assume!(owner.len() <= MAX_OWNER_BYTES);
            let expiry = Expiry::new(std::time::Duration::from_millis(millis)).unwrap();
            let bytes = encode(expiry, &owner).unwrap().into_bytes();
            prop_assert_eq!(parse(bytes), Some((expiry, owner)));
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = parse(bytes.into());
        }
    }
}
