//! Checks a tree against a JSON schema and tells every violation, each with its place.
//!
//! It knows the part of JSON schema that `schemars` writes for our types: references, types, properties, items, unions
//! told apart by type, enumerations, ranges and formats. Two keywords of our own stand in the schema of a mapping:
//! `x-later` (keys of a later version) and `x-elsewhere` (what other tools call a key).

use serde_json::{Map, Value as Json};

use super::form::{Reader, reader_of};
use super::suggest::did_you_mean;
use super::tree::{Document, Entry, Node, Value};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Place};

/// Checks `document` against `schema`. Returns the content as JSON without the parts that are wrong, so that it
/// deserialises into the type behind the schema and further checks can go on; `None` when nothing is left.
pub(crate) fn check(schema: &Json, document: &Document) -> (Option<Json>, Diagnostics) {
    let mut checker = Checker {
        root: schema,
        document,
        diagnostics: Diagnostics::default(),
    };
    let content = checker.value(schema, &document.root, "the file");
    (content, checker.diagnostics)
}

/// The schema that takes everything.
static ANYTHING: Json = Json::Bool(true);

struct Checker<'a> {
    root: &'a Json,
    document: &'a Document,
    diagnostics: Diagnostics,
}

impl<'a> Checker<'a> {
    fn report(&mut self, code: Code, place: Place, message: String, help: Option<String>) {
        let mut diagnostic = Diagnostic::error(code, place, message);
        diagnostic.help = help;
        self.diagnostics.push(diagnostic);
    }

    /// Follows references; they lead into `$defs` of the root.
    fn resolve(&self, mut schema: &'a Json) -> &'a Json {
        // A schema that refers to itself only would turn in a circle; ours are shallow.
        for _ in 0..8 {
            let target = schema
                .get("$ref")
                .and_then(Json::as_str)
                .and_then(|path| self.root.pointer(path.trim_start_matches('#')));
            match target {
                Some(target) => schema = target,
                None => break,
            }
        }
        schema
    }

    /// The members of a union, unions among them opened up; a schema that is no union is its only member.
    fn members(&self, schema: &'a Json) -> Vec<&'a Json> {
        let schema = self.resolve(schema);
        let union = schema
            .get("anyOf")
            .or_else(|| schema.get("oneOf"))
            .and_then(Json::as_array);
        match union {
            Some(members) if words(schema).is_none() => {
                members.iter().flat_map(|member| self.members(member)).collect()
            }
            _ => vec![schema],
        }
    }

    /// The member of a union that fits the type of `node`.
    fn choose(members: &[&'a Json], node: &Node) -> Option<&'a Json> {
        let exact = members.iter().find(|member| accepts(member, node));
        let by_form = || {
            members
                .iter()
                .find(|member| node.text().is_some() && form(member).is_some())
        };
        exact.or_else(by_form).copied()
    }

    fn value(&mut self, schema: &'a Json, node: &Node, name: &str) -> Option<Json> {
        let place = self.document.place(node);
        let members = self.members(schema);
        let Some(schema) = Self::choose(&members, node) else {
            let expected = expected(&members);
            let scalar = matches!(
                &node.value,
                Value::Bool(..) | Value::Integer(..) | Value::Float(..)
            );
            let help = node.text().filter(|_| scalar && expected == "text");
            let help = help.map(|text| format!("in quotes it is text: \"{text}\""));
            let message = format!("{} must be {expected}, not {}", of_name(name), found(node));
            self.report(Code::WRONG_TYPE, place, message, help);
            return None;
        };
        if let Some(words) = words(schema) {
            return self.word(&words, node, name);
        }
        if let (Some(read), Some(text)) = (form(schema), node.text()) {
            if let Err(problem) = read(text) {
                let help = schema
                    .get("examples")
                    .and_then(|examples| examples.get(0))
                    .and_then(Json::as_str);
                let help = help.map(|example| format!("for example {example}"));
                self.report(Code::WRONG_FORM, place, format!("`{name}`: {problem}"), help);
                return None;
            }
            return Some(Json::String(text.to_owned()));
        }
        match &node.value {
            Value::Null => Some(Json::Null),
            Value::Bool(value, _) => Some(Json::Bool(*value)),
            Value::Text(text) => Some(Json::String(text.clone())),
            Value::Integer(value, _) => self
                .range(schema, *value, place, name)
                .then(|| Json::from(*value)),
            Value::Float(value, _) => Some(Json::from(*value)),
            Value::List(items) => self.list(schema, items, place, name),
            Value::Map(entries) => self.map(schema, entries, &place, name),
        }
    }

    fn word(&mut self, words: &[&'a str], node: &Node, name: &str) -> Option<Json> {
        let text = node.text().unwrap_or_default();
        if !words.contains(&text) {
            let message = format!(
                "`{name}` must be one of {}, not {}",
                words.join(", "),
                found(node)
            );
            let help =
                super::closest(text, words.iter().copied()).map(|word| format!("did you mean `{word}`?"));
            self.report(Code::OUT_OF_RANGE, self.document.place(node), message, help);
            return None;
        }
        Some(Json::String(text.to_owned()))
    }

    fn range(&mut self, schema: &Json, value: i64, place: Place, name: &str) -> bool {
        let bound = |key| schema.get(key).and_then(Json::as_i64);
        let (min, max) = (bound("minimum"), bound("maximum"));
        if min.is_none_or(|min| value >= min) && max.is_none_or(|max| value <= max) {
            return true;
        }
        let range = match (min, max) {
            (Some(min), Some(max)) => format!("from {min} to {max}"),
            (Some(min), None) => format!("at least {min}"),
            (_, max) => format!("at most {}", max.unwrap_or_default()),
        };
        let message = format!("{} must be {range}, not {value}", of_name(name));
        self.report(Code::OUT_OF_RANGE, place, message, None);
        false
    }

    fn list(&mut self, schema: &'a Json, items: &[Node], place: Place, name: &str) -> Option<Json> {
        let min = schema.get("minItems").and_then(Json::as_u64).unwrap_or(0);
        if (items.len() as u64) < min {
            self.report(
                Code::OUT_OF_RANGE,
                place,
                format!("`{name}` must not be empty"),
                None,
            );
            return None;
        }
        let of = schema.get("items").unwrap_or(&ANYTHING);
        let items = items.iter().enumerate();
        Some(
            items
                .filter_map(|(index, item)| self.value(of, item, &format!("{name}[{index}]")))
                .collect(),
        )
    }

    fn map(&mut self, schema: &'a Json, entries: &[Entry], place: &Place, name: &str) -> Option<Json> {
        let properties = schema.get("properties").and_then(Json::as_object);
        let required = schema.get("required").and_then(Json::as_array);
        let required = required.into_iter().flatten().filter_map(Json::as_str);
        let mut complete = true;
        for key in required
            .clone()
            .filter(|key| !entries.iter().any(|entry| entry.key == **key))
        {
            let message = format!("{} needs the key `{key}`", of_name(name));
            self.report(Code::MISSING_KEY, place.clone(), message, None);
            complete = false;
        }
        let mut content = Map::new();
        for entry in entries {
            let path = if name == "the file" {
                entry.key.clone()
            } else {
                format!("{name}.{}", entry.key)
            };
            let of = match properties.and_then(|all| all.get(&entry.key)) {
                Some(of) => of,
                None if ignored(schema, &entry.key) => continue,
                None => match schema.get("additionalProperties") {
                    None | Some(Json::Bool(true)) => &ANYTHING,
                    Some(Json::Bool(false)) => {
                        self.unknown_key(schema, entry, name);
                        continue;
                    }
                    Some(of) => {
                        if !self.key_form(schema, entry, name) {
                            continue;
                        }
                        of
                    }
                },
            };
            match self.value(of, &entry.node, &path) {
                Some(value) => drop(content.insert(entry.key.clone(), value)),
                None => complete &= !required.clone().any(|key| key == entry.key),
            }
        }
        complete.then_some(Json::Object(content))
    }

    /// Checks a key that the user chose, like the name of an app.
    fn key_form(&mut self, schema: &Json, entry: &Entry, name: &str) -> bool {
        let read = schema.get("propertyNames").and_then(form);
        let Some(Err(problem)) = read.map(|read| read(&entry.key)) else {
            return true;
        };
        let place = self.document.at(entry.line, entry.column);
        self.report(
            Code::WRONG_FORM,
            place,
            format!("in {}: {problem}", of_name(name)),
            None,
        );
        false
    }

    fn unknown_key(&mut self, schema: &Json, entry: &Entry, name: &str) {
        let key = entry.key.as_str();
        let place = self.document.at(entry.line, entry.column);
        let listed = |keyword: &str| {
            schema
                .get(keyword)
                .and_then(|keys| keys.get(key))
                .and_then(Json::as_str)
        };
        if let Some(what) = listed("x-later") {
            let message = format!("`{key}` comes with a later version: {what}");
            let help = "it has no effect yet; take it out".to_owned();
            return self.report(Code::LATER, place, message, Some(help));
        }
        let known = || {
            schema
                .get("properties")
                .and_then(Json::as_object)
                .into_iter()
                .flat_map(Map::keys)
        };
        let help = listed("x-elsewhere").map_or_else(
            || did_you_mean(key, known().map(String::as_str).collect::<Vec<_>>()),
            str::to_owned,
        );
        let message = format!("{} has no key `{key}`", of_name(name));
        self.report(Code::UNKNOWN_KEY, place, message, Some(help));
    }
}

/// What a union wants, in words.
fn expected(members: &[&Json]) -> String {
    let mut expected: Vec<String> = Vec::new();
    for member in members {
        if let Some(words) = words(member) {
            expected.push(format!("one of {}", words.join(", ")));
        } else {
            expected.extend(types(member).into_iter().map(|name| type_name(name).to_owned()));
        }
    }
    expected.retain(|word| word != "nothing");
    expected.dedup();
    expected.join(" or ")
}

fn of_name(name: &str) -> String {
    if name == "the file" {
        name.to_owned()
    } else {
        format!("`{name}`")
    }
}

fn form(schema: &Json) -> Option<Reader> {
    schema.get("format").and_then(Json::as_str).and_then(reader_of)
}

/// The words of an enumeration: `enum`, `const`, or a union of them.
fn words(schema: &Json) -> Option<Vec<&str>> {
    if let Some(word) = schema.get("const").and_then(Json::as_str) {
        return Some(vec![word]);
    }
    if let Some(words) = schema.get("enum").and_then(Json::as_array) {
        return Some(words.iter().filter_map(Json::as_str).collect());
    }
    let parts = schema.get("oneOf").and_then(Json::as_array)?;
    let parts: Option<Vec<_>> = parts.iter().map(words).collect();
    Some(parts?.concat())
}

fn types(schema: &Json) -> Vec<&str> {
    match schema.get("type") {
        Some(Json::String(one)) => vec![one],
        Some(Json::Array(several)) => several.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    }
}

/// Whether the type of `node` is one that `schema` takes.
fn accepts(schema: &Json, node: &Node) -> bool {
    let types = types(schema);
    let named = |name| types.contains(&name);
    match &node.value {
        _ if words(schema).is_some() => matches!(node.value, Value::Text(_)),
        _ if types.is_empty() => true,
        Value::Null => named("null"),
        Value::Bool(..) => named("boolean"),
        Value::Integer(..) => named("integer") || named("number"),
        Value::Float(..) => named("number"),
        Value::Text(_) => named("string"),
        Value::List(_) => named("array"),
        Value::Map(_) => named("object"),
    }
}

fn type_name(name: &str) -> &str {
    match name {
        "string" => "text",
        "integer" => "a whole number",
        "number" => "a number",
        "boolean" => "true or false",
        "array" => "a list",
        "object" => "a mapping",
        "null" => "nothing",
        other => other,
    }
}

fn found(node: &Node) -> String {
    match &node.value {
        Value::Null => "nothing".to_owned(),
        Value::List(_) => "a list".to_owned(),
        Value::Map(_) => "a mapping".to_owned(),
        Value::Text(text) => format!("the text `{}`", shortened(text)),
        Value::Bool(_, text) | Value::Integer(_, text) | Value::Float(_, text) => format!("`{text}`"),
    }
}

fn shortened(text: &str) -> String {
    let mut short: String = text.chars().take(40).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}

/// Whether the schema lets keys of this beginning through unread (`patternProperties` with `^x-`).
fn ignored(schema: &Json, key: &str) -> bool {
    let patterns = schema.get("patternProperties").and_then(Json::as_object);
    patterns.is_some_and(|patterns| {
        patterns.keys().any(|pattern| {
            pattern
                .strip_prefix('^')
                .is_some_and(|prefix| key.starts_with(prefix))
        })
    })
}
