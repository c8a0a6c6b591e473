//! A file system that is really full. It needs a small one, which `cargo xtask soak store` mounts; elsewhere the test does
//! nothing, and the store's unit tests stand in with a disk that says that it is full.

use std::path::PathBuf;
use std::time::Duration;

use mainstay_store::embedded::{Embedded, Options};
use mainstay_store::{Batch, CommitError, Key, Store, Value};

/// A folder on a file system of a few MiB.
const SMALL_FOLDER: &str = "MAINSTAY_STORE_SMALL_FOLDER";

/// More than fits, so that nothing is written but the log: then a refusal is final until there is room.
///
/// With less, flushes and merges go on behind the commits, and room is set aside for the log. All of them take room for a
/// while that they give back: a merge holds what it reads and what it writes, until it is done; what failed for want of room
/// removes what it had written so far. A commit that came in that while is refused, and later ones may fit.
const LARGE_MEMORY_BYTES: u64 = 16 * 1_024 * 1_024;

fn key(number: usize) -> Key {
    Key::new(format!("{number:06}")).unwrap()
}

async fn put(store: &Embedded, number: usize) -> Result<(), CommitError> {
    let mut batch = Batch::new();
    batch.put(key(number), Value::new(vec![number as u8; 4_000]).unwrap());
    store.commit(batch).await.map(drop)
}

async fn assert_all_there(store: &Embedded, count: usize) {
    for number in 0..count {
        let value = store.read(&[key(number)]).await.unwrap().values.remove(0);
        let value = value.unwrap_or_else(|| panic!("{number} of {count} is lost"));
        assert_eq!(value.value.as_ref(), vec![number as u8; 4_000]);
    }
}

#[tokio::test]
async fn a_full_file_system_refuses_and_recovers_without_a_restart() {
    let Some(folder) = std::env::var_os(SMALL_FOLDER).map(PathBuf::from) else {
        return;
    };
    for memtable_bytes in [64 * 1_024, 512 * 1_024, LARGE_MEMORY_BYTES] {
        let mut options = Options::new(folder.join("store"));
        options.memtable_bytes = memtable_bytes;
        let ballast = folder.join("ballast");
        std::fs::write(&ballast, vec![0; 1_500_000]).unwrap();
        let store = Embedded::open(&options).unwrap();
        let mut count = 0;
        let mut refused = 0;
        while refused < 10 {
            match put(&store, count).await {
                Ok(()) => {
                    assert!(
                        refused == 0 || memtable_bytes < LARGE_MEMORY_BYTES,
                        "it found room where there was none"
                    );
                    count += 1;
                    refused = 0;
                }
                Err(CommitError::Full(_)) => refused += 1,
                Err(error) => panic!("{error}"),
            }
            assert!(count < 5_000, "it never got full");
        }
        assert_all_there(&store, count).await;

        std::fs::remove_file(&ballast).unwrap();
        let recovered = tokio::time::timeout(Duration::from_secs(30), async {
            while put(&store, count).await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        recovered.await.unwrap();
        count += 1;
        assert_all_there(&store, count).await;
        drop(store);
        let store = Embedded::open(&options).unwrap();
        assert_all_there(&store, count).await;
        drop(store);
        std::fs::remove_dir_all(folder.join("store")).unwrap();
        println!("{memtable_bytes} bytes of memory: full after {count} commits");
    }
}
