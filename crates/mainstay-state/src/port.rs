//! The port: what every state component promises, and what is asked of it.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use mainstay_base::CacheStatus;
use mainstay_store::limits::MAX_BATCH_BYTES;
use mainstay_store::{CommitError, Condition, InvalidBatch, Reply};

use crate::crdt::Step;
use crate::error::StateError;
use crate::key::check_full;
use crate::limits::{MAX_BULK_KEYS, MAX_CONTENT_TYPE_BYTES, MAX_OPERATIONS};
use crate::listing::{ListPage, Listing};
use crate::query::{Query, QueryPage};
use crate::stored::Heard;
use crate::ttl::TimeToLive;
use crate::watch::Watch;

/// A state component. Keys come with their prefix; see [`KeyPrefix`](crate::KeyPrefix).
///
/// # Rules
///
/// 1. **Atomic.** The operations of one [`StateStore::transact`] MUST take effect together or not at all. What they
///    require of a key MUST hold before the first of them, all at one moment; of several operations on one key, the last
///    one decides what is left.
/// 2. **Conditions.** An operation with an `ETag` MUST succeed only while the key has it. With [`Concurrency::FirstWrite`]
///    and no `ETag`, it MUST succeed only while the key does not exist. Without either it MUST succeed whatever the key
///    holds. What fails, fails with [`StateError::EtagMismatch`].
/// 3. **`ETag`s.** Every set MUST give the key a new `ETag` that it never had before. An `ETag` that the component cannot
///    have given MUST be refused: as a mismatch, or as [`StateError::InvalidEtag`] where the component can tell.
/// 4. **Time to live.** A value MUST be gone, for reads, conditions and queries, from the moment it expires, though its room
///    may be freed later. A set without a time to live MUST end an earlier one.
/// 5. **Bytes.** What is read MUST be the bytes that were set, the empty ones included; deleting what does not exist MUST
///    succeed.
/// 6. **Fresh.** A read that begins after a change was answered MUST see it when it asks for [`Consistency::Strong`]. With
///    [`Consistency::Eventual`] it MAY be behind, but not behind a change that this very object has answered.
/// 7. **Listed.** A list MUST give every key that begins with its prefix and exists all the while, each once, in the order of
///    their bytes, and no other. A component that cannot says [`StateError::CannotList`].
///
/// # Cancel safety
///
/// Dropping a read has no effect. Dropping a change does not take it back: it may be made or not.
pub trait StateStore: Send + Sync + fmt::Debug + 'static {
    /// What it can do beyond the rules.
    fn features(&self) -> Features;

    /// Reads keys: one answer per key, in their order; `None` where there is nothing. Where a cache may have a part in it, only
    /// who asks for [`Consistency::Strong`] reads all of them at one moment. Cancel safe.
    fn get<'a>(
        &'a self,
        keys: &'a [String],
        consistency: Consistency,
    ) -> Reply<'a, Result<Vec<Option<Item>>, StateError>>;

    /// The same, and says of each answer whether a cache gave it. Cancel safe.
    fn look_up<'a>(
        &'a self,
        keys: &'a [String],
        consistency: Consistency,
    ) -> Reply<'a, Result<Vec<Found>, StateError>> {
        let reading = self.get(keys, consistency);
        reading.map(|items| Ok(items?.into_iter().map(Found::kept).collect()))
    }

    /// Finds values among the keys that begin with `prefix`, which holds its separator, at one moment. Cancel safe.
    fn query<'a>(&'a self, query: &'a Query, prefix: &'a str) -> Reply<'a, Result<QueryPage, StateError>>;

    /// Which keys there are, without their values: for who operates a system. A page may be shorter than asked for although
    /// there are more. Cancel safe.
    fn list<'a>(&'a self, _: &'a Listing) -> Reply<'a, Result<ListPage, StateError>> {
        Reply::ready(Err(StateError::CannotList))
    }

    /// Says when keys that begin with `prefix` may have changed, from the answer on; see [`KeyChanges`](crate::KeyChanges) for
    /// which. Cancel safe.
    fn watch<'a>(&'a self, _prefix: &'a str) -> Reply<'a, Result<Watch, StateError>> {
        Reply::ready(Err(StateError::CannotWatch))
    }

    /// Tells which keys change, whoever changes them: for who remembers what it has read.
    fn hear(&self) -> Result<Heard, StateError> {
        Err(StateError::CannotWatch)
    }

    /// Does all operations or none. No operations is a success. Not cancel safe, see above.
    fn transact(&self, operations: Vec<Operation>) -> Reply<'_, Result<(), StateError>>;

    /// The same, and only while these conditions of the system's store hold, such as that a lock is still held. Not cancel
    /// safe, see above.
    ///
    /// # Errors
    /// [`StateError::Unprotected`] when one does not hold; [`StateError::Elsewhere`] when the values are not in that store.
    fn transact_while(
        &self,
        operations: Vec<Operation>,
        conditions: Vec<Condition>,
    ) -> Reply<'_, Result<(), StateError>> {
        if conditions.is_empty() {
            return self.transact(operations);
        }
        Reply::ready(Err(StateError::Elsewhere))
    }

    /// Does all steps or none, those that merge into values among them, while the conditions hold as in
    /// [`StateStore::transact_while`]. A set or a delete replaces the value of a key, of whatever kind it is. Not cancel safe,
    /// see above; a merge whose outcome is not known is made twice when it is asked for again.
    ///
    /// # Errors
    /// [`StateError::NotMerged`] when the value is of another kind; [`StateError::CannotMerge`] when the component has no
    /// values that merge: [`Merging`](crate::crdt::Merging) gives it some.
    fn merge(&self, _steps: Vec<Step>, _conditions: Vec<Condition>) -> Reply<'_, Result<(), StateError>> {
        Reply::ready(Err(StateError::CannotMerge))
    }

    /// Sets one value. Not cancel safe, see above.
    fn set(&self, set: Set) -> Reply<'_, Result<(), StateError>> {
        self.transact(vec![Operation::Set(set)])
    }

    /// Deletes one key. Not cancel safe, see above.
    fn delete(&self, delete: Delete) -> Reply<'_, Result<(), StateError>> {
        self.transact(vec![Operation::Delete(delete)])
    }

    /// Sets many values; one that fails may keep the others from being set. Not cancel safe, see above.
    fn bulk_set(&self, sets: Vec<Set>) -> Reply<'_, Result<(), StateError>> {
        self.transact(sets.into_iter().map(Operation::Set).collect())
    }

    /// Deletes many keys; one that fails may keep the others from being deleted. Not cancel safe, see above.
    fn bulk_delete(&self, deletes: Vec<Delete>) -> Reply<'_, Result<(), StateError>> {
        self.transact(deletes.into_iter().map(Operation::Delete).collect())
    }
}

/// What a component can do beyond the rules of the port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Features {
    /// Whether what it was told outlives the process.
    pub durable: bool,
    /// Whether it answers queries.
    pub query: bool,
    /// The largest value it takes, in bytes: [`MAX_VALUE_BYTES`](crate::limits::MAX_VALUE_BYTES) at most.
    pub max_value_bytes: usize,
}

impl Features {
    /// The capabilities that the metadata API lists.
    pub const fn capabilities(self) -> &'static [&'static str] {
        if self.query {
            &["ETAG", "TRANSACTIONAL", "QUERY_API", "TTL"]
        } else {
            &["ETAG", "TRANSACTIONAL", "TTL"]
        }
    }
}

/// An `ETag`: names one value that a key has or had. Only the component that gave it knows its form.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Etag(String);

impl Etag {
    /// What a client sent; an empty text is none.
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        (!text.is_empty()).then_some(Self(text))
    }

    /// What a component gives.
    pub(crate) const fn given(text: String) -> Self {
        Self(text)
    }

    /// What a component gives that numbers its changes.
    pub(crate) fn numbered(number: u64) -> Self {
        Self(number.to_string())
    }

    /// The number in an `ETag` of a component that numbers its changes; `None` when it is in another form.
    pub(crate) fn number(&self) -> Option<u64> {
        let number = self.0.parse().ok()?;
        (Self::numbered(number) == *self).then_some(number)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Etag {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// What a key holds.
#[derive(Clone, PartialEq, Eq)]
pub struct Item {
    /// The bytes that were set.
    pub value: Bytes,
    /// Names this value.
    pub etag: Etag,
    /// What the bytes are, when it was said.
    pub content_type: Option<String>,
    /// When it expires, in milliseconds since 1970: the metadata `ttlExpireTime`, see [`rfc3339`](crate::rfc3339).
    pub expires_at_ms: Option<u64>,
}

/// What was found under a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it holds; `None` when there is nothing.
    pub item: Option<Item>,
    /// How a cache came to the answer, where one had a part in it.
    pub cache: Option<CacheMark>,
}

/// How a cache came to an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheMark {
    /// Where the answer is from.
    pub status: CacheStatus,
    /// How old it is.
    pub age: Duration,
}

impl Found {
    /// What a component has, without a cache.
    pub const fn kept(item: Option<Item>) -> Self {
        Self { item, cache: None }
    }
}

/// Who wins when two change the same key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Concurrency {
    /// The last one, unless it sends an `ETag`.
    #[default]
    LastWrite,
    /// The first one: without an `ETag` the key must not exist.
    FirstWrite,
}

/// How fresh an answer must be, and how safe a change. A hint: a component may give more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Consistency {
    /// May be behind.
    Eventual,
    /// The latest.
    #[default]
    Strong,
}

/// Gives a key a value.
#[derive(Clone, PartialEq, Eq)]
pub struct Set {
    /// The key, with its prefix.
    pub key: String,
    /// Its new value.
    pub value: Bytes,
    /// What the bytes are.
    pub content_type: Option<String>,
    /// How long they stay; without one as long as the component says, which is for ever where it says nothing.
    pub time_to_live: Option<TimeToLive>,
    /// The value that is replaced, when it must be that one.
    pub etag: Option<Etag>,
    /// Who wins.
    pub concurrency: Concurrency,
    /// How safe it must be.
    pub consistency: Consistency,
}

/// Removes a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delete {
    /// The key, with its prefix.
    pub key: String,
    /// The value that is removed, when it must be that one.
    pub etag: Option<Etag>,
    /// Who wins.
    pub concurrency: Concurrency,
    /// How safe it must be.
    pub consistency: Consistency,
}

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// `upsert`.
    Set(Set),
    /// `delete`.
    Delete(Delete),
}

impl Set {
    /// The last write wins and the value stays.
    pub fn new(key: impl Into<String>, value: impl Into<Bytes>) -> Self {
        Self {
            key: key.into(),
            value: value.into(),
            content_type: None,
            time_to_live: None,
            etag: None,
            concurrency: Concurrency::LastWrite,
            consistency: Consistency::Strong,
        }
    }

    pub(crate) const fn requirement(&self) -> Requirement<'_> {
        Requirement::of(self.etag.as_ref(), self.concurrency)
    }
}

impl Delete {
    /// Whatever the key holds.
    pub fn new(key: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            etag: None,
            concurrency: Concurrency::LastWrite,
            consistency: Consistency::Strong,
        }
    }
}

/// What an operation requires of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Requirement<'a> {
    Nothing,
    Absent,
    At(&'a Etag),
}

impl Operation {
    /// The key, with its prefix.
    pub fn key(&self) -> &str {
        match self {
            Self::Set(set) => &set.key,
            Self::Delete(delete) => &delete.key,
        }
    }

    pub(crate) fn requirement(&self) -> Requirement<'_> {
        match self {
            Self::Set(set) => set.requirement(),
            Self::Delete(delete) => Requirement::of(delete.etag.as_ref(), delete.concurrency),
        }
    }

    fn check(&self, max_value_bytes: usize) -> Result<(), StateError> {
        check_full(self.key())?;
        let Self::Set(set) = self else { return Ok(()) };
        if set.value.len() > max_value_bytes {
            return Err(StateError::LargeValue {
                key: set.key.clone(),
                bytes: set.value.len(),
                limit: max_value_bytes,
            });
        }
        match set.content_type.as_ref().map_or(0, String::len) {
            0..=MAX_CONTENT_TYPE_BYTES => Ok(()),
            length => Err(StateError::LongContentType(length)),
        }
    }
}

impl<'a> Requirement<'a> {
    /// The one rule for what `ETag` and concurrency ask for together.
    const fn of(etag: Option<&'a Etag>, concurrency: Concurrency) -> Self {
        match (etag, concurrency) {
            (Some(etag), _) => Self::At(etag),
            (None, Concurrency::FirstWrite) => Self::Absent,
            (None, Concurrency::LastWrite) => Self::Nothing,
        }
    }

    /// Whether a key that has this `ETag` (`None` when it does not exist) is as required.
    pub(crate) fn check(self, key: &str, found: Option<&Etag>) -> Result<(), StateError> {
        let reason = match (self, found) {
            (Self::Nothing, _) | (Self::Absent, None) => return Ok(()),
            (Self::At(etag), Some(found)) if etag == found => return Ok(()),
            (Self::Absent, Some(_)) => "item already exists and no etag was passed",
            (Self::At(_), None) => "state not exist or expired",
            (Self::At(_), Some(_)) => "state etag not match",
        };
        Err(StateError::EtagMismatch {
            key: key.to_owned(),
            reason,
        })
    }
}

/// Whether a component that takes values of so many bytes may take these operations. Every component asks this first.
pub(crate) fn check_operations(operations: &[Operation], max_value_bytes: usize) -> Result<(), StateError> {
    if operations.len() > MAX_OPERATIONS {
        return Err(StateError::TooManyOperations(operations.len()));
    }
    operations
        .iter()
        .try_for_each(|operation| operation.check(max_value_bytes))
}

/// How many bytes these operations are, when those are not too many together: as many as a batch of the store may have. For
/// components on servers, which take them as one message.
pub(crate) fn check_bytes(operations: &[Operation]) -> Result<usize, StateError> {
    let sizes = operations.iter().map(|operation| match operation {
        Operation::Set(set) => set.key.len() + set.value.len(),
        Operation::Delete(delete) => delete.key.len(),
    });
    let bytes = sizes.sum();
    if bytes > MAX_BATCH_BYTES {
        return Err(CommitError::from(InvalidBatch::TooLarge(bytes)).into());
    }
    Ok(bytes)
}

/// The one rule for which keys may be read together.
pub(crate) fn check_keys(keys: &[String]) -> Result<(), StateError> {
    if keys.len() > MAX_BULK_KEYS {
        return Err(StateError::TooManyKeys(keys.len()));
    }
    Ok(keys.iter().try_for_each(|key| check_full(key))?)
}

/// Values are the users', who may have put secrets into them.
impl fmt::Debug for Set {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Set")
            .field("key", &self.key)
            .field("value_bytes", &self.value.len())
            .field("content_type", &self.content_type)
            .field("time_to_live", &self.time_to_live)
            .field("etag", &self.etag)
            .field("concurrency", &self.concurrency)
            .finish_non_exhaustive()
    }
}

/// As for [`Set`].
impl fmt::Debug for Item {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Item")
            .field("value_bytes", &self.value.len())
            .field("etag", &self.etag)
            .field("content_type", &self.content_type)
            .field("expires_at_ms", &self.expires_at_ms)
            .finish()
    }
}
