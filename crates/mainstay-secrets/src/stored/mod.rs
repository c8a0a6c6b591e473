//! `secretstores.mainstay`: secrets on the store, sealed with a key that is not in it.
//!
//! ```text
//! secrets/<component>/<name>    version, 8 bytes │ envelope
//! ```
//!
//! The version is 0 while it is that of the commit; a secret that is wrapped anew keeps the one it had. Names are readable,
//! values are not: see [`KeyRing`].

mod envelope;
mod keys;
mod plain;
mod rewrap;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use mainstay_store::{Batch, CommitError, Entry, Key, KeyRange, Reply, Scan, Store, Value, Version};

use self::envelope::Context;
pub use self::keys::{InvalidKeys, KeyRing};
pub use self::rewrap::Rewrapped;
use crate::error::SecretsError;
use crate::limits::{MAX_NAME_BYTES, MAX_SECRETS};
use crate::port::{Features, Secret, SecretStore, check_name};
use crate::text::SecretText;

/// How often a change is decided anew because others changed the same secret meanwhile.
const MAX_ATTEMPTS: usize = 16;

/// A component whose name cannot be part of a key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` cannot name a secret store: 1 to {MAX_NAME_BYTES} bytes without `/`")]
pub struct InvalidName(String);

/// The component. Clones are the same one.
#[derive(Clone)]
pub struct Stored {
    store: Arc<dyn Store>,
    component: Arc<str>,
    keys: Arc<KeyRing>,
}

/// A secret without its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: String,
    /// The change that gave it its values.
    pub version: Version,
    /// The identity of the key that it is sealed with.
    pub key: String,
}

impl Stored {
    /// The secrets of the component `name` in this store.
    pub fn new(store: Arc<dyn Store>, name: &str, keys: KeyRing) -> Result<Self, InvalidName> {
        if name.is_empty() || name.len() > MAX_NAME_BYTES || name.contains('/') {
            return Err(InvalidName(name.to_owned()));
        }
        Ok(Self {
            store,
            component: name.into(),
            keys: Arc::new(keys),
        })
    }

    /// Whether the keys in use open every secret: to be asked when the component starts, so that a wrong key is noticed then.
    /// Cancel safe.
    ///
    /// # Errors
    /// [`SecretsError::UnknownKey`] names a secret and the key that it needs.
    pub async fn check(&self) -> Result<(), SecretsError> {
        let mut range = Some(self.range());
        while let Some(current) = range {
            let page = self.store.scan(&Scan::new(current).limit(MAX_SECRETS)).await?;
            for entry in &page.entries {
                let (name, _, sealed) = self.parse(entry)?;
                self.keys.open(&self.context(&name), &sealed)?;
            }
            range = page.rest;
        }
        Ok(())
    }

    /// Gives the secret `name` these values instead of all that it had. Not cancel safe: it may be set or not.
    pub async fn set(&self, name: &str, secret: &Secret) -> Result<Version, SecretsError> {
        check_name(name)?;
        let plain = plain::encode(name, secret)?;
        let sealed = self.keys.seal(&self.context(name), &plain)?;
        let mut batch = Batch::new();
        batch.put(self.key(name)?, record(name, Version::ZERO, &sealed)?);
        Ok(self.store.commit(batch).await?.version)
    }

    /// Gives the secret `name` this value under `value_name` and leaves its others as they are; makes it when it does not exist.
    /// Not cancel safe: it may be set or not.
    pub async fn set_value(
        &self,
        name: &str,
        value_name: &str,
        value: SecretText,
    ) -> Result<Version, SecretsError> {
        check_name(name)?;
        let key = self.key(name)?;
        for _ in 0..MAX_ATTEMPTS {
            let read = self.store.read(std::slice::from_ref(&key)).await?;
            let found = read.values.into_iter().next().flatten();
            let mut batch = Batch::new();
            batch.require_version(key.clone(), found.as_ref().map(|found| found.version));
            let mut secret = match found {
                Some(found) => self.open(name, found)?,
                None => Secret::default(),
            };
            secret.insert(value_name.to_owned(), value.clone());
            let sealed = self
                .keys
                .seal(&self.context(name), &plain::encode(name, &secret)?)?;
            batch.put(key.clone(), record(name, Version::ZERO, &sealed)?);
            match self.store.commit(batch).await {
                Ok(commit) => return Ok(commit.version),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(SecretsError::Contended(name.to_owned()))
    }

    /// Removes a secret; whether it was there. Not cancel safe: it may be removed or not.
    pub async fn delete(&self, name: &str) -> Result<bool, SecretsError> {
        check_name(name)?;
        let key = self.key(name)?;
        for _ in 0..MAX_ATTEMPTS {
            let read = self.store.read(std::slice::from_ref(&key)).await?;
            let Some(found) = read.values.into_iter().next().flatten() else {
                return Ok(false);
            };
            let mut batch = Batch::new();
            batch.require_version(key.clone(), Some(found.version));
            batch.delete(key.clone());
            match self.store.commit(batch).await {
                Ok(_) => return Ok(true),
                Err(CommitError::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(SecretsError::Contended(name.to_owned()))
    }

    /// All secrets without their values, in the order of their names. Needs no key. Cancel safe.
    pub async fn list(&self) -> Result<Vec<Listed>, SecretsError> {
        let entries = self.entries().await?;
        let listed = entries.iter().map(|entry| {
            let (name, version, sealed) = self.parse(entry)?;
            let key = envelope::sealed_with(&name, &sealed)?;
            Ok(Listed { name, version, key })
        });
        listed.collect()
    }

    async fn read(&self, name: &str) -> Result<Secret, SecretsError> {
        check_name(name)?;
        let key = self.key(name)?;
        let read = self.store.read(std::slice::from_ref(&key)).await?;
        let found = read.values.into_iter().next().flatten();
        let stored = found.ok_or_else(|| SecretsError::NotFound(name.to_owned()))?;
        self.open(name, stored)
    }

    fn open(&self, name: &str, stored: mainstay_store::Stored) -> Result<Secret, SecretsError> {
        let (_, sealed) = parse_record(name, stored.value, stored.version)?;
        let plain = self.keys.open(&self.context(name), &sealed)?;
        plain::decode(name, &plain)
    }

    async fn read_all(&self) -> Result<BTreeMap<String, Secret>, SecretsError> {
        let mut secrets = BTreeMap::new();
        for entry in &self.entries().await? {
            let (name, _, sealed) = self.parse(entry)?;
            let plain = self.keys.open(&self.context(&name), &sealed)?;
            let secret = plain::decode(&name, &plain)?;
            secrets.insert(name, secret);
        }
        Ok(secrets)
    }

    /// All at one moment.
    async fn entries(&self) -> Result<Vec<Entry>, SecretsError> {
        let snapshot = self.store.snapshot().await?;
        let (mut entries, mut range) = (Vec::new(), Some(self.range()));
        while let Some(current) = range {
            let page = snapshot.scan(&Scan::new(current)).await?;
            entries.extend(page.entries);
            if entries.len() > MAX_SECRETS {
                return Err(SecretsError::TooManySecrets);
            }
            range = page.rest;
        }
        Ok(entries)
    }

    fn context<'a>(&'a self, name: &'a str) -> Context<'a> {
        Context {
            component: &self.component,
            name,
        }
    }

    fn range(&self) -> KeyRange {
        KeyRange::prefix(self.prefix())
    }

    fn prefix(&self) -> String {
        format!("secrets/{}/", self.component)
    }

    fn key(&self, name: &str) -> Result<Key, SecretsError> {
        let key = self.prefix() + name;
        Key::new(key).map_err(|_| SecretsError::InvalidName(name.len()))
    }

    /// The name, version and envelope of an entry.
    fn parse(&self, entry: &Entry) -> Result<(String, Version, Bytes), SecretsError> {
        let name = entry.key.as_ref().strip_prefix(self.prefix().as_bytes());
        let name = name.and_then(|name| String::from_utf8(name.to_vec()).ok());
        let name = name.ok_or_else(|| SecretsError::Unreadable(format!("{:?}", entry.key)))?;
        let (version, sealed) = parse_record(&name, entry.value.clone(), entry.version)?;
        Ok((name, version, sealed))
    }
}

impl SecretStore for Stored {
    fn features(&self) -> Features {
        Features {
            multiple_values: true,
            missing_is_empty: false,
        }
    }

    fn get<'a>(&'a self, name: &'a str) -> Reply<'a, Result<Secret, SecretsError>> {
        Reply::waiting(self.read(name))
    }

    fn bulk(&self) -> Reply<'_, Result<BTreeMap<String, Secret>, SecretsError>> {
        Reply::waiting(self.read_all())
    }
}

fn record(name: &str, version: Version, sealed: &[u8]) -> Result<Value, SecretsError> {
    let mut bytes = BytesMut::with_capacity(8 + sealed.len());
    bytes.put_u64(version.as_u64());
    bytes.put_slice(sealed);
    // The size was checked with the secret; the store has the last word.
    Value::new(bytes).map_err(|_| SecretsError::LargeSecret {
        name: name.to_owned(),
        bytes: sealed.len(),
    })
}

fn parse_record(name: &str, value: Value, committed: Version) -> Result<(Version, Bytes), SecretsError> {
    let mut bytes = value.into_bytes();
    match bytes.try_get_u64() {
        Ok(0) => Ok((committed, bytes)),
        Ok(version) => Ok((Version::from_u64(version), bytes)),
        Err(_) => Err(SecretsError::Unreadable(name.to_owned())),
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Stored")
            .field("store", &self.store)
            .field("component", &self.component)
            .field("keys", &self.keys)
            .finish()
    }
}
