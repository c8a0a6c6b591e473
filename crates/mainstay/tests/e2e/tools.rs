//! What some tests need beside cargo, and what happens without it.

use std::path::{Path, PathBuf};

/// The Dapr SDKs of Python and JavaScript, where `scripts/test-tools.sh` puts them.
#[derive(Debug)]
pub struct Sdks {
    /// The interpreter that knows the Python SDK.
    pub python: PathBuf,
    /// Where `require` finds the JavaScript SDK.
    pub node_path: PathBuf,
}

/// The folder of the examples.
pub fn examples() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples");
    folder.canonicalize().expect("the folder of the examples")
}

/// The SDKs, or `None` where they are not installed; then the test says that it is skipped. CI skips nothing.
pub fn sdks() -> Option<Sdks> {
    let folder = examples();
    let is_installed = |stamp: &str, pins: &str| {
        let read = |name: &str| std::fs::read_to_string(folder.join(name)).ok();
        read(stamp).is_some() && read(stamp) == read(pins)
    };
    let python = is_installed(".venv/installed", "requirements.txt");
    let javascript = is_installed("node_modules/installed", "package-lock.json");
    if python && javascript {
        return Some(Sdks {
            python: folder.join(".venv/bin/python"),
            node_path: folder.join("node_modules"),
        });
    }
    skip("the Dapr SDKs are not installed, or not those that are pinned: run scripts/test-tools.sh");
    None
}

/// Says that a test is skipped; fails it in CI.
fn skip(why: &str) {
    assert!(std::env::var("CI").is_err(), "{why}");
    eprintln!("skipped: {why}");
}

/// A program of the examples' Rust packages, built by `cargo test --workspace`.
pub fn is_built(program: &str) -> bool {
    let folder = crate::harness::mainstay();
    let folder = folder.parent().expect("a folder");
    if folder.join(program).exists() {
        return true;
    }
    skip(&format!(
        "`{program}` is not built: run cargo test --workspace, or cargo build --workspace"
    ));
    false
}
