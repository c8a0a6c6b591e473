//! The part of `cargo metadata` that the checks read.

use std::collections::{BTreeSet, HashMap};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::process::{cargo, output, tool};

const OTHER_FORM: &str = "cargo metadata has another form than expected";

/// Packages of the workspace and of its dependencies, and the resolved graph between them.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Metadata {
    pub packages: Vec<Package>,
    pub workspace_members: BTreeSet<String>,
    pub workspace_root: String,
    pub resolve: Resolve,
}

/// A package.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub name: String,
    pub version: String,
    pub id: String,
    pub manifest_path: String,
    pub dependencies: Vec<Dependency>,
}

/// An entry of a `[dependencies]` table.
#[derive(Debug, Deserialize)]
pub(crate) struct Dependency {
    pub name: String,
    pub kind: Option<String>,
    #[serde(default)]
    pub optional: bool,
}

/// What cargo resolved.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Resolve {
    pub nodes: Vec<Node>,
}

/// A package and what it depends on.
#[derive(Debug, Deserialize)]
pub(crate) struct Node {
    pub id: String,
    pub deps: Vec<Edge>,
}

/// A resolved dependency.
#[derive(Debug, Deserialize)]
pub(crate) struct Edge {
    pub pkg: String,
    pub dep_kinds: Vec<EdgeKind>,
}

/// Why it is there: `kind` is absent for a normal dependency.
#[derive(Debug, Deserialize)]
pub(crate) struct EdgeKind {
    pub kind: Option<String>,
}

impl Dependency {
    /// Whether only tests, examples and benches see it.
    pub(crate) fn is_dev(&self) -> bool {
        self.kind.as_deref() == Some("dev")
    }
}

/// The packages of the workspace of the manifest at `path`. Neither their dependencies nor a lock are read, so nothing has
/// to be fetched.
///
/// # Errors
/// As [`Metadata::read`].
pub(crate) fn packages_of(path: &str) -> Result<Vec<Package>> {
    #[derive(Deserialize)]
    struct Packages {
        packages: Vec<Package>,
    }
    let json = output(&mut cargo(&[
        "metadata",
        "--format-version",
        "1",
        "--no-deps",
        "--manifest-path",
        path,
    ]))?;
    let read: Packages = serde_json::from_str(&json).context(OTHER_FORM)?;
    Ok(read.packages)
}

impl Metadata {
    /// Asks cargo.
    ///
    /// # Errors
    /// When cargo or rustc cannot be asked or answer in another form.
    pub(crate) fn read() -> Result<Self> {
        // Only this machine's platform: the others would have to be downloaded first.
        let version = output(tool(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())).arg("-vV"))?;
        let host = version
            .lines()
            .find_map(|line| line.strip_prefix("host: "))
            .context("rustc names no host")?;
        let json = output(&mut cargo(&[
            "metadata",
            "--format-version",
            "1",
            "--locked",
            "--filter-platform",
            host,
        ]))?;
        serde_json::from_str(&json).context(OTHER_FORM)
    }

    /// The packages of the workspace.
    pub(crate) fn members(&self) -> impl Iterator<Item = &Package> {
        self.packages
            .iter()
            .filter(|package| self.workspace_members.contains(&package.id))
    }

    /// A package's folder relative to the workspace, with forward slashes.
    pub(crate) fn folder<'a>(&self, package: &'a Package) -> &'a str {
        let path = package
            .manifest_path
            .strip_prefix(&self.workspace_root)
            .unwrap_or(&package.manifest_path);
        path.trim_end_matches("Cargo.toml").trim_matches('/')
    }

    /// Names of everything that `package` needs at run time, directly or not.
    pub(crate) fn needs(&self, package: &Package) -> BTreeSet<&str> {
        let nodes: HashMap<&str, &Node> = self
            .resolve
            .nodes
            .iter()
            .map(|node| (node.id.as_str(), node))
            .collect();
        let names: HashMap<&str, &str> = self
            .packages
            .iter()
            .map(|package| (package.id.as_str(), package.name.as_str()))
            .collect();
        let mut seen = BTreeSet::new();
        let mut open = vec![package.id.as_str()];
        while let Some(id) = open.pop() {
            for edge in nodes.get(id).map_or(&[][..], |node| &node.deps) {
                let at_run_time = edge.dep_kinds.iter().any(|kind| kind.kind.is_none());
                if at_run_time && seen.insert(edge.pkg.as_str()) {
                    open.push(&edge.pkg);
                }
            }
        }
        seen.into_iter().filter_map(|id| names.get(id).copied()).collect()
    }
}
