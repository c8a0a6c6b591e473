//! `configuration.mainstay`: settings in the store, with the history of every key.

mod change;
mod history;
mod layout;

use std::fmt;
use std::sync::Arc;

use mainstay_store::{Reply, Scan, Store};

pub use mainstay_store::Version;

pub use self::change::{Change, Content};
pub use self::history::Recorded;
pub use self::layout::InvalidName;
use self::layout::Layout;
use crate::error::ConfigurationError;
use crate::limits::MAX_ITEMS;
use crate::port::{ConfigurationStore, Items, Metadata, check_keys};
use crate::subscription::Subscription;

/// The component. Clones are the same one.
///
/// The versions of its items are those of the store. Apps read; who operates the system changes, by [`Stored::change`].
#[derive(Clone)]
pub struct Stored {
    store: Arc<dyn Store>,
    layout: Layout,
}

impl Stored {
    /// The settings of the component `name` in this store.
    pub fn new(store: Arc<dyn Store>, name: &str) -> Result<Self, InvalidName> {
        let layout = Layout::new(name)?;
        Ok(Self { store, layout })
    }

    async fn read(&self, keys: &[String]) -> Result<Items, ConfigurationError> {
        check_keys(keys)?;
        if keys.is_empty() {
            return self.read_all().await;
        }
        let records = keys.iter().map(|key| self.layout.record(key));
        let records = records.collect::<Result<Vec<_>, _>>()?;
        let read = self.store.read(&records).await?;
        let mut items = Items::new();
        for (key, stored) in keys.iter().zip(read.values) {
            if let Some(stored) = stored {
                items.insert(key.clone(), layout::item(key, &stored)?);
            }
        }
        Ok(items)
    }

    /// All at one moment.
    async fn read_all(&self) -> Result<Items, ConfigurationError> {
        let snapshot = self.store.snapshot().await?;
        let mut items = Items::new();
        let mut range = Some(self.layout.records());
        while let Some(current) = range {
            let page = snapshot.scan(&Scan::new(current)).await?;
            for entry in page.entries {
                let Some(key) = self.layout.parse_record(&entry.key) else {
                    continue;
                };
                let stored = mainstay_store::Stored {
                    value: entry.value,
                    version: entry.version,
                };
                let item = layout::item(&key, &stored)?;
                items.insert(key, item);
            }
            if items.len() > MAX_ITEMS {
                return Err(ConfigurationError::TooManyItems);
            }
            range = page.rest;
        }
        Ok(items)
    }

    async fn follow(&self, keys: Vec<String>) -> Result<Subscription, ConfigurationError> {
        check_keys(&keys)?;
        let watch = self.store.watch(self.layout.records().start);
        Subscription::new(self.clone(), watch, keys).await
    }
}

impl ConfigurationStore for Stored {
    fn get<'a>(&'a self, keys: &'a [String]) -> Reply<'a, Result<Items, ConfigurationError>> {
        Reply::waiting(self.read(keys))
    }

    fn subscribe<'a>(
        &'a self,
        keys: Vec<String>,
        _: &'a Metadata,
    ) -> Reply<'a, Result<Subscription, ConfigurationError>> {
        Reply::waiting(self.follow(keys))
    }
}

impl fmt::Debug for Stored {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Stored")
            .field("store", &self.store)
            .field("layout", &self.layout)
            .finish()
    }
}
