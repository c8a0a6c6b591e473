//! Starts the real binary and talks to it.
//!
//! A test writes a manifest, starts it with [`System::start`], and asks it over HTTP or through the commands of the
//! binary. Everything listens on port 0, so tests run side by side. Whatever a test waits for has a deadline; whatever it
//! started is killed when it ends, also by a panic, and then the log of the system is printed.

pub mod authority;
pub mod backend;
pub mod http;
pub mod load;
pub mod metrics;
pub mod process;
pub mod store;
pub mod system;

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

pub use authority::Authority;
pub use backend::Backend;
pub use http::Client;
pub use store::Store;
pub(crate) use store::on_each_store;
pub use system::System;

/// How long anything may take that a test waits for. Long, because machines that run tests are slow and shared; a test
/// that passes never waits for it.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// Waits for `event`; panics with `what` when it does not come.
pub async fn within<T>(what: &str, event: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, event)
        .await
        .unwrap_or_else(|_| panic!("{what}: not within {DEADLINE:?}"))
}

/// Asks again and again until `look` finds something; panics with `what` when it never does.
pub async fn eventually<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    within(what, async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
}

/// The binary under test.
pub fn mainstay() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_mainstay"))
}

/// The folder of the app that manifests start as `testapp`.
pub fn testapp_folder() -> PathBuf {
    let folder = mainstay().parent().expect("a folder").join("examples");
    let built = std::fs::metadata(folder.join("testapp")).and_then(|file| file.modified());
    let sources = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/e2e/testapp");
    let newest = std::fs::read_dir(sources)
        .expect("the sources of the test app")
        .filter_map(|file| file.ok()?.metadata().ok()?.modified().ok())
        .max()
        .expect("a source");
    assert!(
        built.is_ok_and(|built| built >= newest),
        "the test app is missing or stale: cargo build -p mainstay --example testapp"
    );
    folder
}
