//! The crate graph against the table of rooms.

use std::path::Path;

use super::Finding;
use super::metadata::{Dependency, Metadata, Package};
use super::rooms::{EXAMPLES, FENCES, PURITIES, ROOMS, Room};

/// Arrows that the table does not have, dependencies in the wrong hands, impure crates.
pub(crate) fn check(metadata: &Metadata) -> Vec<Finding> {
    let names: Vec<&str> = metadata.members().map(|package| package.name.as_str()).collect();
    let mut findings = Vec::new();
    for package in metadata.members() {
        let folder = metadata.folder(package);
        let manifest = format!("{folder}/Cargo.toml");
        let room = ROOMS.iter().find(|room| room.name == package.name);
        let is_example = Path::new(&folder).starts_with(EXAMPLES);
        if room.is_none() && !is_example {
            findings.push(Finding::new(
                &manifest,
                format!(
                    "`{}` is in no room: add it to ROOMS in xtask/src/tidy/rooms.rs",
                    package.name
                ),
            ));
        }
        for dependency in &package.dependencies {
            let wrong = if names.contains(&dependency.name.as_str()) {
                wrong_arrow(package, room, dependency)
            } else if is_example {
                None
            } else {
                wrong_holder(package, dependency)
            };
            findings.extend(wrong.map(|message| Finding::new(&manifest, message)));
        }
        findings.extend(impurities(metadata, package).map(|message| Finding::new(&manifest, message)));
    }
    findings
}

fn wrong_arrow(package: &Package, room: Option<&Room>, dependency: &Dependency) -> Option<String> {
    let name = dependency.name.as_str();
    let Some(room) = room else {
        return Some(format!(
            "`{}` may not use `{name}`: examples are written as a user would",
            package.name
        ));
    };
    let allowed = room.uses.contains(&name) || (dependency.is_dev() && room.tests_use.contains(&name));
    (!allowed && name != package.name).then(|| {
        format!(
            "`{}` may not use `{name}`: the arrow is not in ROOMS of xtask/src/tidy/rooms.rs",
            package.name
        )
    })
}

fn wrong_holder(package: &Package, dependency: &Dependency) -> Option<String> {
    let fence = FENCES
        .iter()
        .find(|fence| fence.dependencies.contains(&dependency.name.as_str()))?;
    let allowed = fence.only.contains(&package.name.as_str()) || (dependency.is_dev() && fence.in_tests);
    (!allowed).then(|| {
        format!(
            "`{}` may not use `{}`: {}",
            package.name, dependency.name, fence.reason
        )
    })
}

fn impurities<'a>(metadata: &'a Metadata, package: &'a Package) -> impl Iterator<Item = String> + 'a {
    let mine = PURITIES
        .iter()
        .filter(|purity| purity.rooms.contains(&package.name.as_str()));
    mine.flat_map(|purity| {
        let needs = metadata.needs(package);
        let found = purity.free_of.iter().filter(move |name| needs.contains(**name));
        found.map(|name| format!("`{}` needs `{name}` at run time: {}", package.name, purity.reason))
    })
}
