//! The manifest: read, checked, every mistake told at once.

mod build;
mod command_line;
mod env_file;
mod file;
mod interpolate;
mod model;
mod rules;
#[cfg(test)]
pub(crate) mod tests;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Place};
use crate::document::{self, Document};
use crate::resources::{self, Resources};

pub(crate) use build::parse_url;
pub(crate) use file::File;
pub(crate) use interpolate::interpolate;
pub(crate) use model::{App, CachePlan, Call, Manifest};

/// The names under which a manifest is looked for.
pub(crate) const FILE_NAMES: [&str; 2] = ["mainstay.yaml", "mainstay.yml"];

/// The name under which the front door calls; no app can have it.
pub(crate) const INGRESS: &str = "ingress";

/// The JSON schema of the manifest.
pub(crate) fn schema() -> &'static serde_json::Value {
    static SCHEMA: LazyLock<serde_json::Value> = LazyLock::new(|| schemars::schema_for!(File).to_value());
    &SCHEMA
}

/// A manifest that was read: its content and the places of everything in it.
#[derive(Debug)]
pub(crate) struct Parsed {
    /// The content, without the parts that are wrong.
    pub(crate) file: File,
    /// The places.
    pub(crate) document: Document,
}

/// Reads the text of a manifest and checks it against the schema. Touches nothing but its arguments.
///
/// The content is returned also when there are mistakes, as long as enough of it is left to check further.
pub(crate) fn parse(text: &str, file_name: &str) -> (Option<Parsed>, Diagnostics) {
    let (documents, mut diagnostics) = document::parse(text, file_name);
    let mut documents = documents.into_iter();
    let Some(document) = documents.next() else {
        if !diagnostics.has_errors() {
            diagnostics.push(empty(file_name));
        }
        return (None, diagnostics);
    };
    if let Some(second) = documents.next() {
        let message = "a manifest is one YAML document; a second one starts here";
        diagnostics.push(Diagnostic::error(
            Code::SYNTAX,
            second.place(&second.root),
            message,
        ));
    }
    if matches!(document.root.value, document::Value::Null) {
        diagnostics.push(empty(file_name));
        return (None, diagnostics);
    }
    let (content, found) = document::check(schema(), &document);
    diagnostics.extend(found);
    let file = match content.map(serde_json::from_value) {
        Some(Ok(file)) => file,
        Some(Err(error)) => {
            // The schema and the types come from one source, so this is a gap between them: still an error, never a panic.
            let message = format!("the content does not fit: {error}");
            diagnostics.push(Diagnostic::error(
                Code::WRONG_TYPE,
                Place::file(file_name),
                message,
            ));
            return (None, diagnostics);
        }
        None => return (None, diagnostics),
    };
    (Some(Parsed { file, document }), diagnostics)
}

/// What the rules say about a manifest without resources.
#[cfg(any(test, fuzzing))]
pub(crate) fn rules(parsed: &Parsed) -> Diagnostics {
    rules::check(parsed, &Resources::default())
}

fn empty(file_name: &str) -> Diagnostic {
    Diagnostic::error(Code::EMPTY, Place::file(file_name), "the file is empty")
        .help("the smallest manifest is:  apps: { hello: { command: [./hello] } }")
}

/// Reads the manifest in `dir` (or the file `dir` names), its env files and its resources.
///
/// # Errors
/// Everything that is wrong, at once.
pub(crate) fn load(dir: &Path) -> Result<Manifest, Diagnostics> {
    load_with(dir, &|name| std::env::var(name).ok())
}

/// [`load`] with an environment of its own.
///
/// # Errors
/// Everything that is wrong, at once.
pub(crate) fn load_with(
    dir: &Path,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Manifest, Diagnostics> {
    let path = find(dir)?;
    let name = path
        .file_name()
        .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    let text = document::read(&path, &name)?;
    let (parsed, mut diagnostics) = parse(&text, &name);
    let Some(parsed) = parsed else {
        return Err(diagnostics.sorted());
    };
    let dir = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .map_or_else(|| PathBuf::from("."), Path::to_path_buf);
    let resources = match &parsed.file.resources {
        None => Resources::default(),
        Some(folder) => {
            let place = parsed.document.find(&["resources"]);
            resources::load(&dir, folder, place, environment, &mut diagnostics)
        }
    };
    diagnostics.extend(rules::check(&parsed, &resources));
    let manifest = build::build(&parsed, resources, &dir, environment, &mut diagnostics);
    let diagnostics = diagnostics.sorted();
    if diagnostics.has_errors() {
        return Err(diagnostics);
    }
    Ok(Manifest {
        notices: diagnostics,
        ..manifest
    })
}

fn find(dir: &Path) -> Result<PathBuf, Diagnostic> {
    if dir.is_file() {
        return Ok(dir.to_path_buf());
    }
    let found: Vec<_> = FILE_NAMES
        .iter()
        .map(|name| dir.join(name))
        .filter(|path| path.is_file())
        .collect();
    match found.as_slice() {
        [one] => Ok(one.clone()),
        [] => {
            let message = format!("there is no mainstay.yaml in {}", shown(dir));
            Err(
                Diagnostic::error(Code::UNREADABLE, Place::file(&shown(dir)), message)
                    .help("run the command in the folder of the manifest, or name the folder with --dir"),
            )
        }
        _ => {
            let message = "there is a mainstay.yaml and a mainstay.yml";
            Err(
                Diagnostic::error(Code::UNREADABLE, Place::file(&shown(dir)), message)
                    .help("keep one of the two"),
            )
        }
    }
}

fn shown(path: &Path) -> String {
    if path.as_os_str().is_empty() || path == Path::new(".") {
        "this folder".to_owned()
    } else {
        path.display().to_string()
    }
}
