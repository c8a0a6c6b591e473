//! Unmodified official Dapr SDKs, as callers and as callees.

mod javascript;
mod python;
mod rust;

use std::path::{Path, PathBuf};

use crate::harness::System;

/// A program beside this file.
pub(crate) fn program(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/e2e/sdk")
        .join(name)
}

/// Waits until callers, which check everything themselves, have ended well.
pub(crate) async fn all_is_well(system: &System, callers: &[&str]) {
    let wait = ["wait", "--for", "completed", "--timeout", "120s"];
    let output = system.mainstay(&[&wait, callers].concat()).await;
    assert_eq!(output.code, 0, "{output:?}");
}
