//! Things that belong to the writing of a change and not to the change.

use super::Finding;
use super::tree::{Tree, has_extension};

/// Rust that says "not yet". Written in two parts, so that this table does not find itself.
const UNFINISHED_CODE: [&str; 4] = [
    concat!("to", "do!("),
    concat!("unimple", "mented!("),
    concat!("db", "g!("),
    concat!("#[", "ignore"),
];

/// Words that say it, in any file a person writes.
const UNFINISHED_WORDS: [&str; 3] = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X")];

/// Home folders of people.
const HOMES: [&str; 3] = [
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/ro", "ot/"),
];

/// Settings that tie the project to a package registry of one network.
const REGISTRY_SETTINGS: [&str; 4] = [
    concat!("--index", "-url"),
    concat!("--extra-index", "-url"),
    concat!("replace", "-with"),
    concat!("npm_config", "_registry"),
];

/// Files written by tools, and where everything in them must come from.
const LOCK_FILES: [(&str, &str, &str); 2] = [
    (
        "Cargo.lock",
        "source = \"",
        "registry+https://github.com/rust-lang/crates.io-index\"",
    ),
    (
        "package-lock.json",
        "\"resolved\": \"",
        "https://registry.npmjs.org/",
    ),
];

/// Folders of this machine that must not be named: where this checkout is, unless its path is too plain to tell.
pub(crate) fn private_paths() -> Vec<String> {
    let root = crate::process::root();
    let telling = root.components().count() > 2 && root.as_os_str().len() >= 10;
    telling
        .then(|| root.to_string_lossy().into_owned())
        .into_iter()
        .collect()
}

/// Unfinished code, names of this machine's folders, foreign registries.
pub(crate) fn check(tree: &Tree, private_paths: &[String]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (path, text) in tree.texts() {
        let name = path.rsplit('/').next().unwrap_or(path);
        if let Some((_, key, origin)) = LOCK_FILES.iter().find(|(file, _, _)| *file == name) {
            findings.extend(foreign_sources(path, text, key, origin));
            continue;
        }
        for (index, line) in text.lines().enumerate() {
            findings
                .extend(leftover(path, line, private_paths).map(|message| Finding::at(path, index, message)));
        }
    }
    findings
}

fn leftover(path: &str, line: &str, private_paths: &[String]) -> Option<String> {
    let is_rust = has_extension(path, "rs");
    if let Some(code) = UNFINISHED_CODE
        .iter()
        .find(|code| is_rust && line.contains(**code))
    {
        return Some(format!("`{code}` is left over"));
    }
    if let Some(word) = UNFINISHED_WORDS.iter().find(|word| contains_word(line, word)) {
        return Some(format!("`{word}` is left over: do it, or write an issue"));
    }
    let private = private_paths.iter().map(String::as_str).chain(HOMES);
    if let Some(folder) = private.into_iter().find(|folder| names_folder(line, folder)) {
        return Some(format!("names a folder of somebody's machine, {folder}"));
    }
    let setting = REGISTRY_SETTINGS
        .iter()
        .find(|setting| line.contains(**setting))?;
    Some(format!(
        "`{setting}` ties the project to one network's package registry"
    ))
}

/// Whether `line` has `word` with nothing alphanumeric beside it.
fn contains_word(line: &str, word: &str) -> bool {
    line.match_indices(word).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + word.len()..].chars().next();
        ![before, after]
            .into_iter()
            .flatten()
            .any(|char| char.is_alphanumeric() || char == '_')
    })
}

/// Whether `line` names `folder` or something in it; `docs/home/page.md` does not name a home folder.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let before = line[..at].chars().next_back();
        let after = line[at + folder.len()..].chars().next();
        let starts = !before.is_some_and(|char| char.is_alphanumeric() || "._-$}/".contains(char));
        let goes_on = after.is_some_and(|char| char.is_alphanumeric() || "_-".contains(char));
        starts && (goes_on == folder.ends_with('/'))
    })
}

fn foreign_sources<'a>(
    path: &'a str,
    text: &'a str,
    key: &'a str,
    origin: &'a str,
) -> impl Iterator<Item = Finding> + 'a {
    text.lines().enumerate().filter_map(move |(index, line)| {
        let source = line.trim_start().strip_prefix(key)?;
        let message = format!("comes from somewhere else than {}", origin.trim_end_matches('"'));
        (!source.starts_with(origin)).then(|| Finding::at(path, index, message))
    })
}
