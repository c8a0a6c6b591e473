//! `${NAME}` in texts of the manifest.

use std::fmt;

/// Why a text cannot be completed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Problem {
    /// `${NAME}` without a value and without a default.
    Undefined(String),
    /// `${` without `}`, or with something that is not a name between them.
    Malformed(String),
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undefined(name) => write!(formatter, "the variable `{name}` is not set"),
            Self::Malformed(text) => write!(formatter, "`{text}` is not of the form ${{NAME}}"),
        }
    }
}

/// Replaces `${NAME}` and `${NAME:-default}`; `$${` stands for `${` itself. A `$` without a brace is left alone, because
/// it is common in passwords and in scripts for a shell.
///
/// # Errors
/// The first variable without a value, or the first malformed place.
pub(crate) fn interpolate(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, Problem> {
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        if let Some(kept) = before.strip_suffix('$') {
            done.push_str(kept);
            done.push_str("${");
            rest = from.get(2..).unwrap_or_default();
            continue;
        }
        done.push_str(before);
        let malformed = || Problem::Malformed(from.chars().take(20).collect());
        let end = from.find('}').ok_or_else(malformed)?;
        let inner = from.get(2..end).unwrap_or_default();
        let (name, default) = match inner.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inner, None),
        };
        if !is_name(name) {
            return Err(malformed());
        }
        // As in a shell, `:-` also replaces what is set to nothing.
        let value = lookup(name).filter(|value| default.is_none() || !value.is_empty());
        match value.or_else(|| default.map(str::to_owned)) {
            Some(value) => done.push_str(&value),
            None => return Err(Problem::Undefined(name.to_owned())),
        }
        rest = from.get(end + 1..).unwrap_or_default();
    }
    done.push_str(rest);
    Ok(done)
}

fn is_name(name: &str) -> bool {
    name.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && name
            .chars()
            .all(|character| character.is_ascii_alphanumeric() || character == '_')
}
