//! The lock of the fuzz targets, a workspace of its own that nothing else builds.
//!
//! `cargo metadata --locked` would tell, but only where everything that fuzzing needs was fetched before. So the lock is
//! read here, and what it says about this project's packages is compared with their manifests. What changes only further
//! down (a version that no longer suffices, a feature that brings a crate of a crate) is left to cargo.

use std::collections::{BTreeSet, HashMap};

use super::Finding;
use super::metadata::{Metadata, Package};
use super::tree::Tree;

const LOCK: &str = "fuzz/Cargo.lock";
/// Changes nothing in the lock that may stay as it is.
const FIX: &str = "run `cargo update --workspace --manifest-path fuzz/Cargo.toml`";

/// Packages of this project about which the lock no longer tells the truth. `own` are the packages of its workspace.
pub(crate) fn check(tree: &Tree, metadata: &Metadata, own: &[Package]) -> Vec<Finding> {
    let Some(lock) = tree.text(LOCK) else {
        return vec![Finding::new(LOCK, format!("does not exist: {FIX}"))];
    };
    let locked: HashMap<&str, Locked<'_>> = locked(lock).map(|locked| (locked.name, locked)).collect();
    let members: HashMap<&str, &Package> = metadata
        .members()
        .map(|package| (package.name.as_str(), package))
        .collect();
    let mut findings = Vec::new();
    let mut seen: BTreeSet<&str> = own.iter().map(|package| package.name.as_str()).collect();
    let mut open: Vec<(&Package, bool)> = own.iter().map(|package| (package, true)).collect();
    while let Some((package, is_own)) = open.pop() {
        let name = package.name.as_str();
        let Some(locked) = locked.get(name) else {
            findings.push(Finding::new(LOCK, format!("lacks `{name}`: {FIX}")));
            continue;
        };
        findings.extend(
            differences(package, is_own, locked)
                .map(|difference| Finding::new(LOCK, format!("is behind, `{name}` {difference}: {FIX}"))),
        );
        let used = locked.dependencies.iter().filter_map(|name| members.get(name));
        open.extend(
            used.filter(|used| seen.insert(&used.name))
                .map(|used| (*used, false)),
        );
    }
    findings
}

/// A package of this project as the lock has it.
struct Locked<'a> {
    name: &'a str,
    version: &'a str,
    dependencies: BTreeSet<&'a str>,
}

/// The packages that come from no registry, as cargo writes them.
fn locked(lock: &str) -> impl Iterator<Item = Locked<'_>> {
    lock.split("[[package]]").skip(1).filter_map(|entry| {
        let value = |key: &str| {
            let mut lines = entry.lines();
            lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \"")?.strip_suffix('"'))
        };
        let is_local = value("source").is_none();
        // `"name"`, or `"name version"` where there are several.
        let dependencies = entry
            .lines()
            .filter_map(|line| line.strip_prefix(" \"")?.split([' ', '"']).next());
        is_local.then_some(Locked {
            name: value("name")?,
            version: value("version")?,
            dependencies: dependencies.collect(),
        })
    })
}

/// What the lock says of a package that its manifest does not.
fn differences<'a>(
    package: &'a Package,
    is_own: bool,
    locked: &'a Locked<'_>,
) -> impl Iterator<Item = String> + 'a {
    // A workspace locks what its own tests need, not what those of other packages do.
    let known = package
        .dependencies
        .iter()
        .filter(move |dependency| is_own || !dependency.is_dev());
    let names: BTreeSet<&str> = known.clone().map(|dependency| dependency.name.as_str()).collect();
    let needed: BTreeSet<&str> = known
        .filter(|dependency| !dependency.optional)
        .map(|dependency| dependency.name.as_str())
        .collect();
    let version = (package.version != locked.version)
        .then(|| format!("is now {}, and not {}", package.version, locked.version));
    let lacks = needed
        .into_iter()
        .filter(|name| !locked.dependencies.contains(name));
    let surplus = locked
        .dependencies
        .iter()
        .filter(move |name| !names.contains(*name));
    version
        .into_iter()
        .chain(lacks.map(|name| format!("now depends on `{name}`")))
        .chain(surplus.map(|name| format!("no longer depends on `{name}`")))
}
