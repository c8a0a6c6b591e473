//! Backups, restoring them, and the archive: with the real binary, real servers and `kill -9`.

mod archive;
mod elsewhere;
mod mistakes;
mod postgres;

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::System;
use crate::harness::system::{Output, run};

const MANIFEST: &str = "store: ${STORE:-embedded}\napps: { app: { command: [testapp], ingress: {} } }";

/// A folder for backups, with a key.
struct Vault {
    folder: tempfile::TempDir,
    key: PathBuf,
}

impl Vault {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let key = folder.path().join("backup.key");
        let made = mainstay(&["backup", "--new-key", text(&key)]).await;
        assert_eq!(made.code, 0, "{made:?}");
        Self { folder, key }
    }

    fn key(&self) -> &str {
        text(&self.key)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// Runs a command that needs no running system.
async fn mainstay(arguments: &[&str]) -> Output {
    run(arguments, &[]).await
}

fn parsed(output: &Output) -> Value {
    assert_eq!(output.code, 0, "{output:?}");
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error} in {output:?}"))
}

/// Saves a value under a key of `app`.
async fn save(system: &System, key: &str, value: &str) {
    let body = format!(r#"[{{"key":"{key}","value":"{value}"}}]"#);
    let answer = system.api("app").await.post("/v1.0/state/statestore", body).await;
    assert_eq!(answer.status, 204, "{answer:?}");
}

/// The value under a key of `app`; empty when there is none.
async fn value(system: &System, key: &str) -> String {
    let path = format!("/v1.0/state/statestore/{key}");
    let answer = system.api("app").await.get(&path).await;
    answer.text().trim_matches('"').to_owned()
}
