//! State: what HTTP and gRPC ask of a component, in terms of neither.

use std::collections::HashMap;

use bytes::Bytes;
use mainstay_base::CacheStatus;
use mainstay_state::query::{Query, QueryPage};
use mainstay_state::{
    CacheMark, Concurrency, Condition, Consistency, Delete, Etag, Found, Item, Operation, Set, StateError,
    TimeToLive, crdt, rfc3339,
};

use super::fence::{self, Guard};
use super::{measured, merge, own};
use crate::blocks::AppState;
use crate::errors::ApiError;
use crate::errors::state::{self as errors, Failed};
use crate::metrics::Measured;

/// The metadata that says how long a value lives, and the one that says what it is.
const TTL: &str = "ttlInSeconds";
const CONTENT_TYPE: &str = "contentType";

/// What is said about the value of a key.
pub(crate) type Metadata = HashMap<String, String>;

/// A value that is to be set, as it came.
#[derive(Debug)]
pub(crate) struct Change {
    pub(crate) key: String,
    pub(crate) value: Bytes,
    pub(crate) etag: Option<Etag>,
    pub(crate) metadata: Metadata,
    pub(crate) concurrency: Concurrency,
    pub(crate) consistency: Consistency,
}

/// A key that is to be deleted, as it came.
#[derive(Debug)]
pub(crate) struct Removal {
    pub(crate) key: String,
    pub(crate) etag: Option<Etag>,
    pub(crate) metadata: Metadata,
    pub(crate) concurrency: Concurrency,
    pub(crate) consistency: Consistency,
}

/// One step of a transaction, as it came.
#[derive(Debug)]
pub(crate) enum Step {
    Upsert(Change),
    Delete(Removal),
}

/// One answer of a read of many keys.
#[derive(Debug)]
pub(crate) struct BulkItem {
    pub(crate) key: String,
    /// What it holds, or why that cannot be read.
    pub(crate) found: Result<Found, String>,
}

/// What a read asks for that says nothing: Dapr's default.
pub(crate) const READ_CONSISTENCY: Consistency = Consistency::Eventual;

/// The metadata of a value that is read: when it expires.
pub(crate) fn expiry(item: &Item) -> Option<(&'static str, String)> {
    let expires_at_ms = item.expires_at_ms?;
    Some(("ttlExpireTime", rfc3339(expires_at_ms)))
}

/// All metadata of an answer: when the value expires, and how a cache came to it.
pub(crate) fn metadata(found: &Found) -> Metadata {
    let expiry = found.item.as_ref().and_then(expiry);
    let mark = found.cache.iter().flat_map(|mark| {
        let status = ("mainstay.cache", mark.status.as_str().to_owned());
        let age = age_seconds(*mark).map(|age| ("mainstay.age", age.to_string()));
        [Some(status), age]
    });
    let pairs = mark.chain([expiry]).flatten();
    pairs.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// How old an answer is, when it was not just read.
pub(crate) fn age_seconds(mark: CacheMark) -> Option<u64> {
    (mark.status != CacheStatus::Miss).then_some(mark.age.as_secs())
}

/// Reads a key.
pub(crate) async fn get(state: AppState<'_>, key: &str, consistency: Consistency) -> Result<Found, ApiError> {
    let keys = [full_key(state, key)?];
    let reading = state.component.store.look_up(&keys, consistency);
    let found = bounded(Failed::Get(key), state, reading).await?;
    Ok(found.into_iter().next().unwrap_or(Found::kept(None)))
}

/// Reads many keys: at one moment, where no cache has a part in it. A value that cannot be read does not keep the others
/// from being read.
pub(crate) async fn get_bulk(state: AppState<'_>, keys: Vec<String>) -> Result<Vec<BulkItem>, ApiError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    let full: Vec<String> = keys
        .iter()
        .map(|key| full_key(state, key))
        .collect::<Result<_, _>>()?;
    let reading = read_each(state, &full);
    let found = bounded(Failed::BulkGet, state, reading).await?;
    let found = keys.into_iter().zip(found);
    Ok(found.map(|(key, found)| BulkItem { key, found }).collect())
}

async fn read_each(state: AppState<'_>, keys: &[String]) -> Result<Vec<Result<Found, String>>, StateError> {
    let store = &state.component.store;
    match store.look_up(keys, READ_CONSISTENCY).await {
        Ok(found) => Ok(found.into_iter().map(Ok).collect()),
        // One of them is to blame: each alone.
        Err(StateError::Encryption(_) | StateError::Unreadable(_)) => {
            let mut each = Vec::with_capacity(keys.len());
            for key in keys {
                let found = store.look_up(std::slice::from_ref(key), READ_CONSISTENCY).await;
                let found = found.map(|found| found.into_iter().next().unwrap_or(Found::kept(None)));
                each.push(found.map_err(|error| error.to_string()));
            }
            Ok(each)
        }
        Err(error) => Err(error),
    }
}

/// Sets values.
pub(crate) async fn save(state: AppState<'_>, changes: Vec<Change>) -> Result<(), ApiError> {
    own::check(own::OF_SAVES, changes.iter().map(|change| &change.metadata))?;
    let guards = Guard::all(changes.iter().map(|change| &change.metadata))?;
    let fences = fences(state, guards).await?;
    let store = &state.component.store;
    if merge::is_wanted(changes.iter().map(|change| &change.metadata)) {
        let steps = changes.into_iter().map(|change| to_step(state, change));
        let steps = steps.collect::<Result<_, _>>()?;
        return bounded(Failed::Save, state, store.merge(steps, fences)).await;
    }
    let sets = changes.into_iter().map(|change| to_set(state, change));
    let mut sets: Vec<Set> = sets.collect::<Result<_, _>>()?;
    if !fences.is_empty() {
        let operations = sets.into_iter().map(Operation::Set).collect();
        return bounded(Failed::Save, state, store.transact_while(operations, fences)).await;
    }
    let saving = match (sets.len(), sets.pop()) {
        (1, Some(only)) => store.set(only),
        (_, last) => {
            sets.extend(last);
            store.bulk_set(sets)
        }
    };
    bounded(Failed::Save, state, saving).await
}

/// Deletes a key.
pub(crate) async fn delete(state: AppState<'_>, removal: Removal) -> Result<(), ApiError> {
    own::check(own::OF_ALL, [&removal.metadata].into_iter())?;
    let guards = Guard::all([&removal.metadata].into_iter())?;
    let fences = fences(state, guards).await?;
    let key = removal.key.clone();
    let delete = to_delete(state, removal)?;
    let store = &state.component.store;
    let deleting = if fences.is_empty() {
        store.delete(delete)
    } else {
        store.transact_while(vec![Operation::Delete(delete)], fences)
    };
    bounded(Failed::Delete(&key), state, deleting).await
}

/// Deletes keys.
pub(crate) async fn delete_bulk(state: AppState<'_>, removals: Vec<Removal>) -> Result<(), ApiError> {
    own::check(own::OF_ALL, removals.iter().map(|removal| &removal.metadata))?;
    let guards = Guard::all(removals.iter().map(|removal| &removal.metadata))?;
    let fences = fences(state, guards).await?;
    let deletes = removals.into_iter().map(|removal| to_delete(state, removal));
    let deletes: Vec<Delete> = deletes.collect::<Result<_, _>>()?;
    let store = &state.component.store;
    let deleting = if fences.is_empty() {
        store.bulk_delete(deletes)
    } else {
        let operations = deletes.into_iter().map(Operation::Delete).collect();
        store.transact_while(operations, fences)
    };
    bounded(Failed::BulkDelete, state, deleting).await
}

/// Does all steps or none. `metadata` is of the transaction as a whole.
pub(crate) async fn transact(
    state: AppState<'_>,
    mut steps: Vec<Step>,
    metadata: &Metadata,
) -> Result<(), ApiError> {
    own::check(own::OF_SAVES, [metadata].into_iter())?;
    merge::spread(metadata, &mut steps);
    for step in &steps {
        match step {
            Step::Upsert(change) => own::check(own::OF_SAVES, [&change.metadata].into_iter())?,
            Step::Delete(removal) => own::check(own::OF_ALL, [&removal.metadata].into_iter())?,
        }
    }
    let of_steps = || {
        steps.iter().map(|step| match step {
            Step::Upsert(change) => &change.metadata,
            Step::Delete(removal) => &removal.metadata,
        })
    };
    let guards = Guard::all(of_steps().chain([metadata]))?;
    let merges = merge::is_wanted(of_steps());
    let fences = fences(state, guards).await?;
    let store = &state.component.store;
    if merges {
        let steps = steps.into_iter().map(|step| match step {
            Step::Upsert(change) => to_step(state, change),
            Step::Delete(removal) => Ok(crdt::Step::Plain(Operation::Delete(to_delete(state, removal)?))),
        });
        let steps = steps.collect::<Result<_, _>>()?;
        return bounded(Failed::Transaction, state, store.merge(steps, fences)).await;
    }
    let operations = steps.into_iter().map(|step| {
        Ok(match step {
            Step::Upsert(change) => Operation::Set(to_set(state, change)?),
            Step::Delete(removal) => Operation::Delete(to_delete(state, removal)?),
        })
    });
    let operations = operations.collect::<Result<_, ApiError>>()?;
    bounded(
        Failed::Transaction,
        state,
        store.transact_while(operations, fences),
    )
    .await
}

async fn fences(state: AppState<'_>, guards: Vec<Guard>) -> Result<Vec<Condition>, ApiError> {
    fence::conditions(state.blocks, state.app, guards).await
}

/// Finds values. The keys of the results are those of the app.
pub(crate) async fn query(state: AppState<'_>, body: &[u8]) -> Result<QueryPage, ApiError> {
    // Whether it can be queried at all comes before what is asked.
    let asked = if state.component.store.features().query {
        Query::parse(body)
    } else {
        Ok(Query::default())
    };
    let query = asked.map_err(|error| errors::failed(Failed::Query, state.name, &error.into()))?;
    let prefix = state.prefix();
    let finding = state.component.store.query(&query, &prefix);
    let mut page = bounded(Failed::Query, state, finding).await?;
    for result in &mut page.results {
        result.key = state.user_key(&result.key).to_owned();
    }
    Ok(page)
}

/// Waits for a component, but not for ever.
async fn bounded<T>(
    what: Failed<'_>,
    state: AppState<'_>,
    doing: impl Future<Output = Result<T, StateError>>,
) -> Result<T, ApiError> {
    let operation = match what {
        Failed::Get(_) => Measured::Get,
        Failed::BulkGet => Measured::GetBulk,
        Failed::Save => Measured::Set,
        Failed::Delete(_) => Measured::Delete,
        Failed::BulkDelete => Measured::DeleteBulk,
        Failed::Transaction => Measured::Transaction,
        Failed::Query => Measured::Query,
    };
    let done = measured(&state.component.about, operation, doing, StateError::fault).await;
    done.map_err(|undone| errors::undone(what, state.name, &undone))
}

fn full_key(state: AppState<'_>, key: &str) -> Result<String, ApiError> {
    state
        .full_key(key)
        .map_err(|reason| errors::illegal_key(state.name, key, &reason))
}

fn to_set(state: AppState<'_>, mut change: Change) -> Result<Set, ApiError> {
    let time_to_live = change.metadata.get(TTL).map_or(Ok(None), |text| {
        TimeToLive::parse(text).map_err(|reason| errors::invalid_change(state.name, reason))
    })?;
    Ok(Set {
        key: full_key(state, &change.key)?,
        value: change.value,
        content_type: change.metadata.remove(CONTENT_TYPE),
        time_to_live,
        etag: change.etag,
        concurrency: change.concurrency,
        consistency: change.consistency,
    })
}

/// A set, or a merge where the metadata asks for one.
fn to_step(state: AppState<'_>, change: Change) -> Result<crdt::Step, ApiError> {
    let merged = merge::of(&change).map_err(|reason| errors::invalid_change(state.name, reason))?;
    let set = to_set(state, change)?;
    Ok(match merged {
        Some(change) => crdt::Step::Merge(crdt::Merge { set, change }),
        None => crdt::Step::Plain(Operation::Set(set)),
    })
}

fn to_delete(state: AppState<'_>, removal: Removal) -> Result<Delete, ApiError> {
    Ok(Delete {
        key: full_key(state, &removal.key)?,
        etag: removal.etag,
        concurrency: removal.concurrency,
        consistency: removal.consistency,
    })
}
