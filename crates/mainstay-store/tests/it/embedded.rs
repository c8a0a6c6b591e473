//! The embedded adapter: the conformance suites.

use std::sync::Arc;

use mainstay_store::conformance::Subject;
use mainstay_store::conformance::replication::ReplicationSubject;
use mainstay_store::embedded::{Embedded, Options};
use mainstay_store::{Replicated, Store};

/// A store that flushes its memory when it holds so many bytes.
pub(crate) struct OnDisk<const MEMTABLE_BYTES: u64> {
    options: Options,
    store: Option<Arc<Embedded>>,
    _folder: tempfile::TempDir,
}

impl<const MEMTABLE_BYTES: u64> OnDisk<MEMTABLE_BYTES> {
    fn open_with(set: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options::new(folder.path());
        options.memtable_bytes = MEMTABLE_BYTES;
        set(&mut options);
        Self {
            store: Some(Arc::new(Embedded::open(&options).unwrap())),
            options,
            _folder: folder,
        }
    }
}

impl<const MEMTABLE_BYTES: u64> Subject for OnDisk<MEMTABLE_BYTES> {
    async fn open() -> Self {
        Self::open_with(|_| {})
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone().unwrap()
    }

    async fn restart(&mut self) {
        let store = self.store.take().unwrap();
        assert_eq!(Arc::strong_count(&store), 1, "the test let go of it");
        drop(store);
        self.store = Some(Arc::new(Embedded::open(&self.options).unwrap()));
    }
}

impl<const MEMTABLE_BYTES: u64> ReplicationSubject for OnDisk<MEMTABLE_BYTES> {
    async fn open_keeping(bytes: u64) -> Self {
        Self::open_with(|options| options.max_feed_bytes = bytes)
    }

    fn replicated(&self) -> Arc<dyn Replicated> {
        self.store.clone().unwrap()
    }
}

mod as_it_is {
    type Subject = super::OnDisk<{ 16 * 1_024 * 1_024 }>;

    mainstay_store::conformance_suite!(Subject);

    mod copied {
        mainstay_store::replication_suite!(super::Subject, super::Subject);
    }
}

/// Memory is flushed and files are merged all the time.
mod always_flushing {
    type Subject = super::OnDisk<{ 4 * 1_024 }>;

    mainstay_store::conformance_suite!(Subject);

    mod copied {
        mainstay_store::replication_suite!(super::Subject, super::Subject);
    }
}
