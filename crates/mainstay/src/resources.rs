//! Dapr resource files, read as they are: `Component`, `Configuration`, `HTTPEndpoint` and `Resiliency`. Other kinds are told
//! to be without effect.

mod component;
pub(crate) mod configuration;
mod endpoint;
mod file;
mod policies;
mod resiliency;
#[cfg(test)]
mod tests;
mod trip;
mod value;

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Place};
use crate::document::{self, Document, Value, did_you_mean};

pub(crate) use component::{Component, INIT_TIMEOUT, Setting};
pub(crate) use configuration::Configuration;
pub(crate) use endpoint::{Endpoint, HeaderSource, TlsSource, header_value};
pub(crate) use resiliency::{Resiliency, overrides};
pub(crate) use value::SettingValue;

/// Most files in a folder of resources.
const MAX_FILES: usize = 1_000;

/// Kinds of Dapr that have no effect in this version.
const LATER: [&str; 4] = ["Subscription", "WorkflowAccessPolicy", "MCPServer", "Workflow"];

/// What the resource files say.
#[derive(Debug, Default)]
pub(crate) struct Resources {
    /// In the order of the files' names.
    pub(crate) resiliencies: Vec<Resiliency>,
    /// In the order of the files' names.
    pub(crate) endpoints: Vec<Endpoint>,
    /// In the order of the files' names.
    pub(crate) components: Vec<Component>,
    /// In the order of the files' names.
    pub(crate) configurations: Vec<Configuration>,
}

/// Reads every `*.yaml` and `*.yml` in `folder` of `dir`, in the order of their names; subfolders are left alone, as Dapr
/// does. `place` is where the manifest names the folder. Mistakes and notes go to `diagnostics`.
pub(crate) fn load(
    dir: &Path,
    folder: &str,
    place: Place,
    environment: &dyn Fn(&str) -> Option<String>,
    diagnostics: &mut Diagnostics,
) -> Resources {
    let mut resources = Resources::default();
    let files = match files(&dir.join(folder)) {
        Ok(files) => files,
        Err(problem) => {
            let message = format!("the folder of resources `{folder}` cannot be read: {problem}");
            let help = "paths are seen from the manifest's folder";
            diagnostics.push(Diagnostic::error(Code::UNREADABLE, place, message).help(help));
            return resources;
        }
    };
    for path in files {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let shown = format!("{}/{name}", folder.trim_start_matches("./").trim_end_matches('/'));
        match document::read(&path, &shown) {
            Ok(text) => resources.add(&text, &shown, environment, diagnostics),
            Err(diagnostic) => diagnostics.push(diagnostic),
        }
    }
    resiliency::check_names(&resources.resiliencies, diagnostics);
    resources
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|error| error.to_string())? {
        let path = entry.map_err(|error| error.to_string())?.path();
        let yaml = path
            .extension()
            .is_some_and(|extension| extension == "yaml" || extension == "yml");
        if yaml && path.is_file() {
            files.push(path);
        }
        if files.len() > MAX_FILES {
            return Err(format!("more than {MAX_FILES} files"));
        }
    }
    files.sort();
    Ok(files)
}

impl Resources {
    /// Reads the documents of one file.
    pub(crate) fn add(
        &mut self,
        text: &str,
        file: &str,
        environment: &dyn Fn(&str) -> Option<String>,
        diagnostics: &mut Diagnostics,
    ) {
        let (documents, found) = document::parse(text, file);
        diagnostics.extend(found);
        for document in &documents {
            if matches!(document.root.value, Value::Null) {
                continue;
            }
            match kind(document) {
                Ok("Resiliency") => {
                    if let Some(file) = typed::<file::Resiliency>(document, diagnostics) {
                        self.resiliencies
                            .push(Resiliency::read(&file, document, diagnostics));
                    }
                }
                Ok("HTTPEndpoint") => {
                    if let Some(file) = typed::<file::HttpEndpoint>(document, diagnostics) {
                        self.endpoints
                            .extend(Endpoint::read(file, document, environment, diagnostics));
                    }
                }
                Ok("Component") => {
                    if let Some(file) = typed::<file::Component>(document, diagnostics) {
                        self.components
                            .extend(Component::read(file, document, environment, diagnostics));
                    }
                }
                Ok("Configuration") => {
                    if let Some(file) = typed::<file::Configuration>(document, diagnostics) {
                        self.configurations
                            .push(Configuration::read(file, document, diagnostics));
                    }
                }
                Ok(kind) => {
                    let message = format!("the {kind} `{}` is not used yet", name(document));
                    diagnostics.push(
                        Diagnostic::error(Code::NOT_USED, document.place(&document.root), message).note(),
                    );
                }
                Err(diagnostic) => diagnostics.push(*diagnostic),
            }
        }
    }
}

/// The kind of a Dapr resource that this version knows or will know.
fn kind(document: &Document) -> Result<&str, Box<Diagnostic>> {
    let text = |key: &str| document.root.get(key).and_then(|node| node.text());
    let place = document.place(&document.root);
    let (Some(version), Some(kind)) = (text("apiVersion"), text("kind")) else {
        let message = "this is not a resource: `apiVersion` or `kind` is missing; it is not used";
        return Err(Box::new(
            Diagnostic::error(Code::NOT_USED, place, message).warning(),
        ));
    };
    if !version.starts_with("dapr.io/") {
        let message = format!("a {kind} of {version} is not a resource of Dapr; it is not used");
        return Err(Box::new(
            Diagnostic::error(Code::NOT_USED, place, message).warning(),
        ));
    }
    let known = || {
        ["Component", "Configuration", "HTTPEndpoint", "Resiliency"]
            .into_iter()
            .chain(LATER)
    };
    if known().any(|known| known == kind) {
        return Ok(kind);
    }
    let place = document.find(&["kind"]);
    let message = format!("Dapr has no kind `{kind}`");
    let help = did_you_mean(kind, known().collect::<Vec<_>>());
    Err(Box::new(
        Diagnostic::error(Code::OUT_OF_RANGE, place, message).help(help),
    ))
}

fn name(document: &Document) -> &str {
    let name = document
        .root
        .get("metadata")
        .and_then(|metadata| metadata.get("name"));
    name.and_then(|name| name.text()).unwrap_or("without a name")
}

/// The content as a type, after its check.
fn typed<T: DeserializeOwned + schemars::JsonSchema>(
    document: &Document,
    diagnostics: &mut Diagnostics,
) -> Option<T> {
    let schema = schemars::schema_for!(T).to_value();
    let (content, found) = document::check(&schema, document);
    diagnostics.extend(found);
    match serde_json::from_value(content?) {
        Ok(typed) => Some(typed),
        Err(error) => {
            let message = format!("the content does not fit: {error}");
            let place = document.place(&document.root);
            diagnostics.push(Diagnostic::error(Code::WRONG_TYPE, place, message));
            None
        }
    }
}
