//! What has changed since it was read last.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use mainstay_store::{Reply, Watch};

use crate::error::ConfigurationError;
use crate::listener::{Listener, Touched};
use crate::port::{ConfigurationStore, Item, Items};

/// What has changed, by key; `None` where the key was deleted.
pub type Changes = BTreeMap<String, Option<Item>>;

/// Says when keys may have changed.
pub(crate) trait Source: Send + Sync + fmt::Debug {
    /// Waits until keys may have changed since the source was made or this last returned. Cancel safe: what was not returned
    /// is returned by the next call.
    fn touched(&mut self) -> Reply<'_, Result<Touched, ConfigurationError>>;
}

/// Any key of the store.
impl Source for Watch {
    fn touched(&mut self) -> Reply<'_, Result<Touched, ConfigurationError>> {
        Reply::waiting(async {
            let changed = self.changed().await;
            changed
                .map(|_| Touched::Anything)
                .map_err(|_| ConfigurationError::Closed)
        })
    }
}

/// What an engine told.
impl Source for Listener {
    fn touched(&mut self) -> Reply<'_, Result<Touched, ConfigurationError>> {
        Reply::waiting(async { Ok(self.heard().await) })
    }
}

/// Tells of changes. Dropping it ends it.
#[derive(Debug)]
pub struct Subscription {
    component: Arc<dyn ConfigurationStore>,
    source: Box<dyn Source>,
    /// Which are asked for; all of them when empty.
    keys: Vec<String>,
    seen: Items,
    /// What has been touched and not been read since.
    due: Option<Touched>,
}

impl Subscription {
    /// Tells of changes of the component's keys from now on. The source must watch already, so that none is missed.
    pub(crate) async fn new(
        component: impl ConfigurationStore,
        source: impl Source + 'static,
        keys: Vec<String>,
    ) -> Result<Self, ConfigurationError> {
        let seen = component.get(&keys).await?;
        Ok(Self {
            component: Arc::new(component),
            source: Box::new(source),
            keys,
            seen,
            due: None,
        })
    }

    /// Waits for changes, and gives the latest of each key that has one.
    ///
    /// # Errors
    /// When what changed could not be read; the next call tries again. [`ConfigurationError::Closed`] and others that are
    /// not to be retried are final.
    ///
    /// # Cancel safety
    /// Cancel safe: a change that was not returned is returned by the next call.
    pub async fn changed(&mut self) -> Result<Changes, ConfigurationError> {
        loop {
            if self.due.is_none() {
                self.due = Some(self.source.touched().await?);
            }
            let asked = match &self.due {
                Some(Touched::Keys(touched)) => self.wanted(touched),
                _ => self.keys.clone(),
            };
            let nothing = asked.is_empty() && matches!(self.due, Some(Touched::Keys(_)));
            let changes = if nothing {
                Changes::new()
            } else {
                let items = self.component.get(&asked).await?;
                replace(&mut self.seen, &asked, items)
            };
            self.due = None;
            if !changes.is_empty() {
                return Ok(changes);
            }
        }
    }

    fn wanted(&self, touched: &BTreeSet<String>) -> Vec<String> {
        let all = self.keys.is_empty();
        let wanted = touched.iter().filter(|key| all || self.keys.contains(key));
        wanted.cloned().collect()
    }
}

/// Takes what was read of these keys (all of them when there are none) for what is seen, and gives the difference.
fn replace(seen: &mut Items, asked: &[String], items: Items) -> Changes {
    let gone: Vec<String> = if asked.is_empty() {
        seen.keys()
            .filter(|key| !items.contains_key(*key))
            .cloned()
            .collect()
    } else {
        let gone = asked.iter().filter(|key| !items.contains_key(*key));
        gone.filter(|key| seen.contains_key(*key)).cloned().collect()
    };
    let mut changes = Changes::new();
    for key in gone {
        seen.remove(&key);
        changes.insert(key, None);
    }
    for (key, item) in items {
        if seen.get(&key) != Some(&item) {
            seen.insert(key.clone(), item.clone());
            changes.insert(key, Some(item));
        }
    }
    changes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::port::Metadata;

    fn items(values: &[(&str, &str)]) -> Items {
        let item = |value: &str| Item {
            value: value.to_owned(),
            ..Item::default()
        };
        let items = values.iter().map(|(key, value)| ((*key).to_owned(), item(value)));
        items.collect()
    }

    #[test]
    fn only_what_was_asked_for_can_be_gone() {
        let mut seen = items(&[("a", "1"), ("b", "1")]);
        assert_eq!(
            replace(&mut seen, &["b".to_owned()], items(&[("b", "1")])),
            Changes::new()
        );
        let changes = replace(&mut seen, &["b".to_owned(), "c".to_owned()], Items::new());
        assert_eq!(changes, Changes::from([("b".to_owned(), None)]));
        let changes = replace(&mut seen, &[], Items::new());
        assert_eq!(changes, Changes::from([("a".to_owned(), None)]));
    }

    #[test]
    fn a_new_version_of_the_same_value_is_a_change() {
        let mut seen = items(&[("a", "1")]);
        let mut after = seen.clone();
        after.get_mut("a").unwrap().version = "2".to_owned();
        assert_eq!(replace(&mut seen, &[], after).len(), 1);
    }

    /// Names what it touched.
    #[derive(Debug)]
    struct Script(Vec<Touched>);

    /// A component that reads what was put there, the last one first.
    #[derive(Debug)]
    struct Reads(std::sync::Mutex<Vec<Result<Items, ConfigurationError>>>);

    impl Source for Script {
        fn touched(&mut self) -> Reply<'_, Result<Touched, ConfigurationError>> {
            match self.0.pop() {
                Some(touched) => Reply::ready(Ok(touched)),
                None => Reply::ready(Err(ConfigurationError::Closed)),
            }
        }
    }

    impl ConfigurationStore for Reads {
        fn get<'a>(&'a self, _: &'a [String]) -> Reply<'a, Result<Items, ConfigurationError>> {
            Reply::ready(self.0.lock().unwrap().pop().unwrap())
        }

        fn subscribe<'a>(
            &'a self,
            _: Vec<String>,
            _: &'a Metadata,
        ) -> Reply<'a, Result<Subscription, ConfigurationError>> {
            Reply::ready(Err(ConfigurationError::Closed))
        }
    }

    #[tokio::test]
    async fn what_could_not_be_read_is_read_again() {
        let failure = ConfigurationError::TooManyItems;
        let source = Script(vec![Touched::Keys(BTreeSet::from(["a".to_owned()]))]);
        let reads = vec![Ok(items(&[("a", "1")])), Err(failure.clone()), Ok(Items::new())];
        let subscription = Subscription::new(Reads(reads.into()), source, Vec::new());
        let mut subscription = subscription.await.unwrap();
        assert_eq!(subscription.changed().await, Err(failure));
        assert_eq!(subscription.changed().await.unwrap().len(), 1);
        assert_eq!(subscription.changed().await, Err(ConfigurationError::Closed));
    }

    #[tokio::test]
    async fn keys_of_others_are_not_read() {
        let source = Script(vec![Touched::Keys(BTreeSet::from(["other".to_owned()]))]);
        let reads = Reads(vec![Ok(Items::new())].into());
        let subscription = Subscription::new(reads, source, vec!["mine".to_owned()]);
        let mut subscription = subscription.await.unwrap();
        assert_eq!(subscription.changed().await, Err(ConfigurationError::Closed));
    }

    proptest! {
        /// Whoever applies the changes has what was read.
        #[test]
        fn changes_lead_from_one_to_the_other(
            before in proptest::collection::btree_map("[a-d]", "[01]", 0..4),
            after in proptest::collection::btree_map("[a-d]", "[01]", 0..4),
        ) {
            let item = |value: String| Item { value, ..Item::default() };
            let before: Items = before.into_iter().map(|(key, value)| (key, item(value))).collect();
            let after: Items = after.into_iter().map(|(key, value)| (key, item(value))).collect();
            let (mut seen, mut applied) = (before.clone(), before.clone());
            for (key, change) in replace(&mut seen, &[], after.clone()) {
                prop_assert_ne!(before.get(&key), change.as_ref());
                match change {
                    Some(item) => applied.insert(key, item),
                    None => applied.remove(&key),
                };
            }
            prop_assert_eq!(&applied, &after);
            prop_assert_eq!(&seen, &after);
        }
    }
}
