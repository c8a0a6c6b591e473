//! What a migration needs from around it: stores by their names.

use std::sync::Arc;

use mainstay_base::Reply;
use mainstay_store::Replicated;

use crate::journal::Place;

/// Finds and opens stores. Two adapters: the engines, and simulated stores in tests.
pub trait Stores: Send + Sync {
    /// Where the store is that `reference` names. Reads no more than the environment.
    ///
    /// The error is a sentence with advice, and holds no secret.
    fn locate(&self, reference: &str) -> Result<Place, String>;

    /// Opens a store, making it where there is none. Takes some seconds at most. Cancel safe.
    fn open<'a>(&'a self, place: &'a Place) -> Reply<'a, Result<Arc<dyn OpenStore>, OpenProblem>>;
}

/// A store that is open, and whose data can be removed.
pub trait OpenStore: Send + Sync {
    /// The store.
    fn store(&self) -> Arc<dyn Replicated>;

    /// Closes it; nothing works on it any more. Once more is no error.
    fn close(&self) -> Reply<'_, ()>;

    /// Closes it and removes what is in it. Refuses a store that takes commits and holds something. Once more is no
    /// error. Cancel safe in the sense that asking again ends what was begun.
    fn destroy(&self) -> Reply<'_, Result<(), String>>;
}

/// Why a store cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct OpenProblem {
    /// A sentence without secrets.
    pub message: String,
    /// Whether it may be there later.
    pub is_passing: bool,
}
