//! `secretstores.local.file`: a JSON file.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use mainstay_store::Reply;
use serde_json::Value;
use zeroize::Zeroizing;

use crate::error::SecretsError;
use crate::limits::MAX_FILE_BYTES;
use crate::port::{Features, Secret, SecretStore, check_name};
use crate::text::SecretText;

/// Between the names of nested objects unless it is said otherwise.
const SEPARATOR: &str = ":";

/// Which file, and how to read it: the component's metadata.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// `secretsFile`.
    pub path: PathBuf,
    /// `nestedSeparator`: stands between the names of nested objects. `:` unless it is said otherwise.
    pub nested_separator: String,
    /// `multiValued`: whether an object at the top is one secret with many values, and not one secret for each value.
    pub multi_valued: bool,
}

impl Options {
    /// The file with its usual reading.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            nested_separator: SEPARATOR.to_owned(),
            multi_valued: false,
        }
    }
}

/// The component. The file is read once.
#[derive(Debug)]
pub struct LocalFile {
    secrets: BTreeMap<String, Secret>,
    multi_valued: bool,
}

impl LocalFile {
    /// Reads the file.
    ///
    /// # Errors
    /// [`SecretsError::InvalidFile`] says what is wrong with it and where.
    pub fn open(options: &Options) -> Result<Self, SecretsError> {
        let invalid = |reason: String| SecretsError::InvalidFile {
            path: options.path.clone(),
            reason,
        };
        let text = read(&options.path).map_err(|error| invalid(error.to_string()))?;
        if text.len() as u64 > MAX_FILE_BYTES {
            return Err(invalid(format!(
                "the file of secrets is larger than {MAX_FILE_BYTES} bytes"
            )));
        }
        // serde_json says what it expected and where, and not what it found, but for types and numbers.
        let parsed = serde_json::from_slice(&text).map_err(|error| {
            let (line, column) = (error.line(), error.column());
            invalid(format!("not valid JSON at line {line}, column {column}"))
        })?;
        let Value::Object(top) = parsed else {
            return Err(invalid("the file of secrets must hold a JSON object".to_owned()));
        };
        let separator = match options.nested_separator.as_str() {
            "" => SEPARATOR,
            separator => separator,
        };
        let secrets = if options.multi_valued {
            multi_valued(top, separator)
        } else {
            single_valued(top, separator)
        };
        Ok(Self {
            secrets: secrets.map_err(|name| invalid(format!("the secret {name} is there twice")))?,
            multi_valued: options.multi_valued,
        })
    }

    fn find(&self, name: &str) -> Result<Secret, SecretsError> {
        check_name(name)?;
        let secret = self.secrets.get(name).cloned();
        secret.ok_or_else(|| SecretsError::NotFound(name.to_owned()))
    }
}

impl SecretStore for LocalFile {
    fn features(&self) -> Features {
        Features {
            multiple_values: self.multi_valued,
            missing_is_empty: false,
        }
    }

    fn get<'a>(&'a self, name: &'a str) -> Reply<'a, Result<Secret, SecretsError>> {
        Reply::ready(self.find(name))
    }

    fn bulk(&self) -> Reply<'_, Result<BTreeMap<String, Secret>, SecretsError>> {
        Reply::ready(Ok(self.secrets.clone()))
    }
}

/// One byte more than may be, to notice it.
fn read(path: &Path) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let file = std::fs::File::open(path)?;
    // With all of its room at once, so that growing leaves no copies behind.
    let room = file.metadata()?.len().min(MAX_FILE_BYTES) as usize + 1;
    let mut text = Zeroizing::new(Vec::with_capacity(room));
    file.take(MAX_FILE_BYTES + 1).read_to_end(&mut text)?;
    Ok(text)
}

type Object = serde_json::Map<String, Value>;

/// Each text is a secret; the names of those in objects and arrays are joined.
fn single_valued(top: Object, separator: &str) -> Result<BTreeMap<String, Secret>, String> {
    let mut values = BTreeMap::new();
    flatten(top, "", separator, &mut values)?;
    let secrets = values.into_iter();
    Ok(secrets
        .map(|(name, value)| (name.clone(), Secret::single(name, value)))
        .collect())
}

/// Each object at the top is a secret with all that is in it.
fn multi_valued(top: Object, separator: &str) -> Result<BTreeMap<String, Secret>, String> {
    let mut secrets = BTreeMap::new();
    for (name, value) in top {
        let secret = match value {
            Value::Object(object) => {
                let mut values = BTreeMap::new();
                flatten(object, "", separator, &mut values)?;
                values.into_iter().collect()
            }
            Value::Array(_) => {
                let mut values = BTreeMap::new();
                visit(name.clone(), value, separator, &mut values)?;
                values.into_iter().collect()
            }
            other => Secret::single(name.clone(), text(other)),
        };
        secrets.insert(name, secret);
    }
    Ok(secrets)
}

fn flatten(
    object: Object,
    path: &str,
    separator: &str,
    values: &mut BTreeMap<String, SecretText>,
) -> Result<(), String> {
    for (name, value) in object {
        let path = if path.is_empty() {
            name
        } else {
            format!("{path}{separator}{name}")
        };
        visit(path, value, separator, values)?;
    }
    Ok(())
}

/// The depth is bounded by the parser's.
fn visit(
    path: String,
    value: Value,
    separator: &str,
    values: &mut BTreeMap<String, SecretText>,
) -> Result<(), String> {
    match value {
        Value::Object(object) => flatten(object, &path, separator, values),
        Value::Array(array) => {
            let mut items = array.into_iter().enumerate();
            items.try_for_each(|(index, item)| {
                visit(format!("{path}{separator}{index}"), item, separator, values)
            })
        }
        _ if values.contains_key(&path) => Err(path),
        other => {
            values.insert(path, text(other));
            Ok(())
        }
    }
}

fn text(value: Value) -> SecretText {
    match value {
        Value::String(text) => SecretText::new(text),
        Value::Null => SecretText::default(),
        other => SecretText::new(other.to_string()),
    }
}
