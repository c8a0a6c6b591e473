//! From text to a tree. Built from the parser's events rather than by its own loader, so that all duplicate keys are told
//! at once, nesting cannot overflow the stack, and `<<` merges as Compose users expect.

use std::collections::HashMap;
use std::sync::Arc;

use saphyr::Scalar;
use saphyr_parser::{Event, Marker, Parser};

use crate::diagnostic::{Code, Diagnostic, Diagnostics, Place};

/// Largest file.
pub(crate) const MAX_BYTES: usize = 1024 * 1024;
/// Most values in a file, with aliases expanded.
const MAX_NODES: usize = 100_000;
/// Deepest nesting.
const MAX_DEPTH: usize = 64;

/// One YAML document.
#[derive(Clone, Debug)]
pub(crate) struct Document {
    /// Its file, as the user would name it.
    pub(crate) file: Arc<str>,
    /// Its content.
    pub(crate) root: Node,
}

/// A value and where it starts.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// Counted from 1.
    pub(crate) line: u32,
    /// Counted from 1.
    pub(crate) column: u32,
    /// What stands there.
    pub(crate) value: Value,
}

/// What stands at a place.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Nothing, `null` or `~`.
    Null,
    /// `true` or `false`.
    Bool(bool, String),
    /// A whole number and how it is written.
    Integer(i64, String),
    /// Another number and how it is written.
    Float(f64, String),
    /// Text.
    Text(String),
    /// A list.
    List(Vec<Node>),
    /// A mapping, in the order of the file.
    Map(Vec<Entry>),
}

/// A key with its value.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    /// The key as text.
    pub(crate) key: String,
    /// Where the key starts.
    pub(crate) line: u32,
    /// Where the key starts.
    pub(crate) column: u32,
    /// Its value.
    pub(crate) node: Node,
}

impl Node {
    /// The value under `key`, when this is a mapping that has it.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|entry| &entry.node)
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        match &self.value {
            Value::Map(entries) => entries.iter().find(|entry| entry.key == key),
            _ => None,
        }
    }

    /// The text of a scalar as it is written; `None` for lists, mappings and nothing.
    pub(crate) fn text(&self) -> Option<&str> {
        match &self.value {
            Value::Bool(_, text) | Value::Integer(_, text) | Value::Float(_, text) | Value::Text(text) => {
                Some(text)
            }
            Value::Null | Value::List(_) | Value::Map(_) => None,
        }
    }
}

impl Document {
    /// Where `node` starts.
    pub(crate) fn place(&self, node: &Node) -> Place {
        self.at(node.line, node.column)
    }

    /// A line and column of this document's file.
    pub(crate) fn at(&self, line: u32, column: u32) -> Place {
        Place {
            file: Arc::clone(&self.file),
            line,
            column,
        }
    }

    /// Where the key at the end of `path` stands; the deepest part of the path that exists otherwise. List items are
    /// named by their index.
    pub(crate) fn find(&self, path: &[&str]) -> Place {
        let mut node = &self.root;
        let mut place = self.place(node);
        for step in path {
            if let Some(entry) = node.entry(step) {
                place = self.at(entry.line, entry.column);
                node = &entry.node;
                continue;
            }
            let item = match (&node.value, step.parse::<usize>()) {
                (Value::List(items), Ok(index)) => items.get(index),
                _ => None,
            };
            match item {
                Some(item) => node = item,
                None => break,
            }
            place = self.place(node);
        }
        place
    }
}

/// Reads all documents of `text`. Documents are returned also when there are duplicate keys (the first one counts); a
/// syntax error ends the reading.
pub(crate) fn parse(text: &str, file: &str) -> (Vec<Document>, Diagnostics) {
    let mut diagnostics = Diagnostics::default();
    let file: Arc<str> = file.into();
    if text.len() > MAX_BYTES {
        let message = "the file is larger than 1 MiB";
        diagnostics.push(Diagnostic::error(Code::TOO_LARGE, Place::file(&file), message));
        return (Vec::new(), diagnostics);
    }
    let mut builder = Builder {
        file,
        documents: Vec::new(),
        open: Vec::new(),
        anchors: HashMap::new(),
        nodes: 0,
        diagnostics,
    };
    let mut parser = Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    while let Some(event) = parser.next_event() {
        let taken = match event {
            Ok((event, span)) => builder.take(event, span.start),
            Err(error) => Err(builder.stop(Code::SYNTAX, *error.marker(), error.info())),
        };
        if let Err(diagnostic) = taken {
            builder.diagnostics.push(*diagnostic);
            break;
        }
    }
    (builder.documents, builder.diagnostics)
}

/// A list or mapping that is not closed yet.
struct Open {
    node: Node,
    anchor: usize,
    /// The key that waits for its value, where this is a mapping.
    key: Option<Node>,
    /// What `<<` names; its entries come in when the mapping is closed, so that written ones win.
    merged: Vec<Node>,
}

struct Builder {
    file: Arc<str>,
    documents: Vec<Document>,
    open: Vec<Open>,
    anchors: HashMap<usize, Node>,
    nodes: usize,
    diagnostics: Diagnostics,
}

/// The reading cannot go on.
type Stop = Box<Diagnostic>;

impl Builder {
    fn place(&self, line: usize, column: usize) -> Place {
        Place {
            file: Arc::clone(&self.file),
            line: line as u32,
            column: column as u32,
        }
    }

    #[expect(
        clippy::unnecessary_box_returns,
        reason = "an error on its way out of every step"
    )]
    fn stop(&self, code: Code, marker: Marker, message: &str) -> Stop {
        Stop::from(Diagnostic::error(
            code,
            self.place(marker.line(), marker.col() + 1),
            message,
        ))
    }

    fn take(&mut self, event: Event<'_>, start: Marker) -> Result<(), Stop> {
        let new = |value| Node {
            line: start.line() as u32,
            column: start.col() as u32 + 1,
            value,
        };
        match event {
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd => Ok(()),
            Event::SequenceStart(anchor, _) => self.start(new(Value::List(Vec::new())), anchor, start),
            Event::MappingStart(anchor, _) => self.start(new(Value::Map(Vec::new())), anchor, start),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(closed) = self.open.pop() else {
                    return Ok(());
                };
                let mut node = closed.node;
                if let Value::Map(entries) = &mut node.value {
                    let added = closed.merged.into_iter().map(|from| merge(entries, from)).sum();
                    self.count(added, start)?;
                }
                self.add(node, closed.anchor, start)
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(1, start)?;
                let written = text.clone().into_owned();
                let value = match Scalar::parse_from_cow_and_metadata(text, style, tag.as_ref()) {
                    Some(Scalar::Null) => Value::Null,
                    Some(Scalar::Boolean(value)) => Value::Bool(value, written),
                    Some(Scalar::Integer(value)) => Value::Integer(value, written),
                    Some(Scalar::FloatingPoint(value)) => Value::Float(value.into_inner(), written),
                    Some(Scalar::String(_)) | None => Value::Text(written),
                };
                self.add(new(value), anchor, start)
            }
            Event::Alias(anchor) => match self.anchors.get(&anchor) {
                Some(node) => {
                    let node = node.clone();
                    self.count(size(&node), start)?;
                    self.add(node, 0, start)
                }
                None => Err(self.stop(
                    Code::SYNTAX,
                    start,
                    "the alias names nothing that is complete here",
                )),
            },
        }
    }

    fn count(&mut self, nodes: usize, at: Marker) -> Result<(), Stop> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(self.stop(
                Code::TOO_LARGE,
                at,
                "more than 100000 values, with aliases expanded",
            ));
        }
        Ok(())
    }

    fn start(&mut self, node: Node, anchor: usize, at: Marker) -> Result<(), Stop> {
        self.count(1, at)?;
        if self.open.len() >= MAX_DEPTH {
            return Err(self.stop(Code::TOO_LARGE, at, "nested deeper than 64 levels"));
        }
        self.open.push(Open {
            node,
            anchor,
            key: None,
            merged: Vec::new(),
        });
        Ok(())
    }

    /// Puts a finished node where it belongs.
    fn add(&mut self, node: Node, anchor: usize, at: Marker) -> Result<(), Stop> {
        if anchor > 0 {
            self.count(size(&node), at)?;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(mut parent) = self.open.pop() else {
            self.documents.push(Document {
                file: Arc::clone(&self.file),
                root: node,
            });
            return Ok(());
        };
        match (&mut parent.node.value, parent.key.take()) {
            (Value::List(items), _) => items.push(node),
            (Value::Map(entries), Some(key)) => match key.text() {
                Some("<<") => parent.merged.push(node),
                Some(text) => self.insert(entries, text, &key, node),
                None => self.diagnostics.push(Diagnostic::error(
                    Code::WRONG_TYPE,
                    self.place(key.line as usize, key.column as usize),
                    "a key must be a word, not a list, a mapping or nothing",
                )),
            },
            (_, _) => parent.key = Some(node),
        }
        self.open.push(parent);
        Ok(())
    }

    fn insert(&mut self, entries: &mut Vec<Entry>, text: &str, key: &Node, node: Node) {
        let first = entries.iter().find(|entry| entry.key == text);
        if let Some(first) = first {
            let message = format!("`{text}` is written twice");
            let place = self.place(key.line as usize, key.column as usize);
            let help = format!("the first one is on line {}; keep one of the two", first.line);
            self.diagnostics
                .push(Diagnostic::error(Code::DUPLICATE_KEY, place, message).help(help));
        } else {
            entries.push(Entry {
                key: text.to_owned(),
                line: key.line,
                column: key.column,
                node,
            });
        }
    }
}

/// Takes over the entries of `from` that `entries` does not have; returns how many values that added.
fn merge(entries: &mut Vec<Entry>, from: Node) -> usize {
    match from.value {
        Value::Map(theirs) => {
            let mut added = 0;
            for entry in theirs {
                if !entries.iter().any(|ours| ours.key == entry.key) {
                    added += size(&entry.node);
                    entries.push(entry);
                }
            }
            added
        }
        Value::List(maps) => maps.into_iter().map(|map| merge(entries, map)).sum(),
        _ => 0,
    }
}

/// How many values a node has, itself among them.
fn size(node: &Node) -> usize {
    match &node.value {
        Value::List(items) => 1 + items.iter().map(size).sum::<usize>(),
        Value::Map(entries) => 1 + entries.iter().map(|entry| size(&entry.node)).sum::<usize>(),
        _ => 1,
    }
}
