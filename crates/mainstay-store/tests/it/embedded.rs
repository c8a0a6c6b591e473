//! The embedded adapter: the conformance suite.

use std::sync::Arc;

use mainstay_store::Store;
use mainstay_store::conformance::Subject;
use mainstay_store::embedded::{Embedded, Options};

/// A store that flushes its memory when it holds so many bytes.
struct OnDisk<const MEMTABLE_BYTES: u64> {
    folder: tempfile::TempDir,
    store: Option<Arc<Embedded>>,
}

impl<const MEMTABLE_BYTES: u64> OnDisk<MEMTABLE_BYTES> {
    fn open_folder(folder: &tempfile::TempDir) -> Arc<Embedded> {
        let mut options = Options::new(folder.path());
        options.memtable_bytes = MEMTABLE_BYTES;
        Arc::new(Embedded::open(&options).unwrap())
    }
}

impl<const MEMTABLE_BYTES: u64> Subject for OnDisk<MEMTABLE_BYTES> {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Some(Self::open_folder(&folder));
        Self { folder, store }
    }

    fn store(&self) -> Arc<dyn Store> {
        self.store.clone().unwrap()
    }

    async fn restart(&mut self) {
        let store = self.store.take().unwrap();
        assert_eq!(Arc::strong_count(&store), 1, "the test let go of it");
        drop(store);
        self.store = Some(Self::open_folder(&self.folder));
    }
}

mod as_it_is {
    mainstay_store::conformance_suite!(super::OnDisk<{ 16 * 1_024 * 1_024 }>);
}

/// Memory is flushed and files are merged all the time.
mod always_flushing {
    mainstay_store::conformance_suite!(super::OnDisk<{ 4 * 1_024 }>);
}
