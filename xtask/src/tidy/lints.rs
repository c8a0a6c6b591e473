//! Every crate takes the lint table of the workspace.

use super::Finding;
use super::metadata::Metadata;
use super::tree::Tree;

/// Members of the workspace without `[lints] workspace = true`.
pub(crate) fn check(tree: &Tree, metadata: &Metadata) -> Vec<Finding> {
    let manifests = metadata
        .members()
        .map(|package| format!("{}/Cargo.toml", metadata.folder(package)));
    manifests
        .filter(|manifest| !tree.text(manifest).is_some_and(takes_workspace_lints))
        .map(|manifest| Finding::new(manifest, "add `[lints]` with `workspace = true`"))
        .collect()
}

fn takes_workspace_lints(manifest: &str) -> bool {
    let lines = manifest
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim());
    let mut in_section = false;
    for line in lines {
        if line.starts_with('[') {
            in_section = line == "[lints]";
        } else if in_section && line.split_whitespace().eq(["workspace", "=", "true"]) {
            return true;
        }
    }
    false
}
