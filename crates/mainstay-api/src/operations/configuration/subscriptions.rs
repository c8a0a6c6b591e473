//! The subscriptions of one app.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tokio::task::{AbortHandle, JoinHandle};

use crate::errors::ApiError;
use crate::errors::configuration as errors;

/// Most subscriptions of one app at a time.
const MAX_SUBSCRIPTIONS: usize = 1_000;

/// What a subscription is about: a component and the keys, sorted.
pub(super) type Subject = (String, Vec<String>);

/// The subscriptions of one app, by their ids. They end with it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Subscriptions(Arc<Mutex<HashMap<String, Running>>>);

#[derive(Debug)]
enum Running {
    /// Somebody else tells of changes until this is dropped.
    Elsewhere(#[expect(dead_code, reason = "its end is what counts")] oneshot::Sender<()>),
    /// A task tells of changes.
    Task(
        Subject,
        #[expect(dead_code, reason = "its end is what counts")] Stop,
    ),
}

/// Ends a task when it is dropped.
#[derive(Debug)]
struct Stop(AbortHandle);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Somebody who follows settings on a connection of their own.
#[derive(Debug)]
pub(crate) struct Follower {
    pub(crate) id: String,
    stopped: oneshot::Receiver<()>,
    subscriptions: Subscriptions,
}

impl Follower {
    /// Waits until the subscription is ended by its id. Cancel safe.
    pub(crate) async fn stopped(&mut self) {
        // Dropped, not sent, is how it ends.
        let _ = (&mut self.stopped).await;
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        self.subscriptions.end(&self.id);
    }
}

impl Subscriptions {
    /// Takes up one that tells of changes elsewhere.
    pub(super) fn begin(&self) -> Result<Follower, ApiError> {
        let (stop, stopped) = oneshot::channel();
        let id = self.add(Running::Elsewhere(stop))?;
        let subscriptions = self.clone();
        Ok(Follower {
            id,
            stopped,
            subscriptions,
        })
    }

    /// The one that tells the app about this already.
    pub(super) fn about(&self, subject: &Subject) -> Option<String> {
        let running = self.lock();
        let found = running
            .iter()
            .find(|(_, one)| matches!(one, Running::Task(known, _) if known == subject));
        found.map(|(id, _)| id.clone())
    }

    /// Starts a task that tells the app.
    pub(super) fn run<F>(&self, subject: Subject, task: impl FnOnce(String) -> F) -> Result<String, ApiError>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let id = new_id();
        let task: JoinHandle<()> = tokio::spawn(task(id.clone()));
        self.insert(id, Running::Task(subject, Stop(task.abort_handle())))
    }

    /// Ends one; whether there was one.
    pub(super) fn end(&self, id: &str) -> bool {
        self.lock().remove(id).is_some()
    }

    fn add(&self, running: Running) -> Result<String, ApiError> {
        self.insert(new_id(), running)
    }

    fn insert(&self, id: String, running: Running) -> Result<String, ApiError> {
        let mut all = self.lock();
        if all.len() >= MAX_SUBSCRIPTIONS {
            return Err(errors::too_many(MAX_SUBSCRIPTIONS));
        }
        all.insert(id.clone(), running);
        Ok(id)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Running>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ids look as Dapr's do (RFC 9562, version 4). They are no secrets: only the app itself can name them.
fn new_id() -> String {
    let (high, low) = (fastrand::u64(..), fastrand::u64(..));
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0x3fff | 0x8000,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_look_as_they_should() {
        let id = new_id();
        let parts: Vec<&str> = id.split('-').collect();
        assert_eq!(
            parts.iter().map(|part| part.len()).collect::<Vec<_>>(),
            [8, 4, 4, 4, 12]
        );
        assert!(
            parts[2].starts_with('4') && "89ab".contains(&parts[3][..1]),
            "{id}"
        );
        assert_ne!(new_id(), id);
    }

    #[tokio::test]
    async fn subscriptions_are_bounded_and_end_when_told() {
        let subscriptions = Subscriptions::default();
        let mut followers: Vec<_> = (0..MAX_SUBSCRIPTIONS)
            .map(|_| subscriptions.begin().unwrap())
            .collect();
        assert!(subscriptions.begin().is_err());
        let mut last = followers.pop().unwrap();
        assert!(subscriptions.end(&last.id));
        last.stopped().await;
        assert!(!subscriptions.end(&last.id));
        drop(followers);
        assert!(subscriptions.lock().is_empty());
    }

    #[tokio::test]
    async fn the_same_subject_has_one_task_which_ends_with_the_app() {
        let subscriptions = Subscriptions::default();
        let subject = ("store".to_owned(), vec!["a".to_owned()]);
        let (alive, ended) = oneshot::channel::<()>();
        let task = |_| async move {
            let _alive = alive;
            std::future::pending::<()>().await;
        };
        let id = subscriptions.run(subject.clone(), task).unwrap();
        assert_eq!(subscriptions.about(&subject), Some(id));
        drop(subscriptions);
        assert!(ended.await.is_err(), "the task is dropped");
    }
}
