//! What is wrong in the user's files: where, why, and the fix. All mistakes are collected and told at once.

mod code;

use std::fmt::{self, Write as _};
use std::sync::Arc;

use serde::Serialize;

pub(crate) use code::Code;

/// A place in a file. Shown as `mainstay.yaml:14:3`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// The file, as the user would name it.
    pub(crate) file: Arc<str>,
    /// Counted from 1; 0 when the file as a whole is meant.
    pub(crate) line: u32,
    /// Counted from 1; 0 when the line as a whole is meant.
    pub(crate) column: u32,
}

impl Place {
    /// The file as a whole.
    pub(crate) fn file(file: &str) -> Self {
        Self {
            file: file.into(),
            line: 0,
            column: 0,
        }
    }

    /// `mainstay.yaml:14`: for sentences, where the column is noise.
    pub(crate) fn short(&self) -> String {
        if self.line == 0 {
            self.file.to_string()
        } else {
            format!("{}:{}", self.file, self.line)
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.short())?;
        if self.line > 0 && self.column > 0 {
            write!(formatter, ":{}", self.column)?;
        }
        Ok(())
    }
}

/// How much a diagnostic matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Nothing starts.
    Error,
    /// It works, but likely not as meant.
    Warning,
    /// Good to know.
    Note,
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        })
    }
}

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Diagnostic {
    /// Its entry in the table of codes.
    pub(crate) code: Code,
    /// How much it matters.
    pub(crate) severity: Severity,
    /// Where it is.
    pub(crate) place: Place,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) help: Option<String>,
}

impl Diagnostic {
    /// An error without advice.
    pub(crate) fn error(code: Code, place: Place, message: impl Into<String>) -> Self {
        Self {
            code,
            severity: Severity::Error,
            place,
            message: message.into(),
            help: None,
        }
    }

    /// The same as a warning.
    #[must_use]
    pub(crate) fn warning(mut self) -> Self {
        self.severity = Severity::Warning;
        self
    }

    /// The same as a note.
    #[must_use]
    pub(crate) fn note(mut self) -> Self {
        self.severity = Severity::Note;
        self
    }

    /// The same with advice.
    #[must_use]
    pub(crate) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// For `--json`.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        serde_json::json!({
            "code": self.code.as_str(),
            "severity": self.severity,
            "file": &*self.place.file,
            "line": self.place.line,
            "column": self.place.column,
            "message": self.message,
            "help": self.help,
        })
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            code,
            severity,
            place,
            message,
            help,
        } = self;
        write!(formatter, "{place}: {severity} {code}: {}", Visible(message))?;
        match help {
            Some(help) => write!(formatter, "\n    {}", Visible(help)),
            None => Ok(()),
        }
    }
}

/// Text of a file that may hold anything: control characters, which could play tricks on a terminal, are spelt out.
struct Visible<'a>(&'a str);

impl fmt::Display for Visible<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|character| {
            if character.is_control() {
                write!(formatter, "{}", character.escape_default())
            } else {
                formatter.write_char(character)
            }
        })
    }
}

/// Everything that is wrong, in the order of the files. As an error: at least one of them is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Diagnostics(Vec<Diagnostic>);

/// More mistakes than this are not told one by one: nobody reads them, and a hostile file must not fill the memory.
const MAX_DIAGNOSTICS: usize = 100;

impl Diagnostics {
    /// Adds one; beyond a hundred it is dropped, because the first ones have to be mended anyway. An error is never
    /// dropped for a warning.
    pub(crate) fn push(&mut self, diagnostic: Diagnostic) {
        if self.0.len() < MAX_DIAGNOSTICS {
            self.0.push(diagnostic);
        } else if diagnostic.severity == Severity::Error && !self.has_errors() {
            self.0.pop();
            self.0.push(diagnostic);
        }
    }

    /// Adds all of `others`.
    pub(crate) fn extend(&mut self, others: Self) {
        for diagnostic in others.0 {
            self.push(diagnostic);
        }
    }

    /// Whether nothing can start.
    pub(crate) fn has_errors(&self) -> bool {
        self.0
            .iter()
            .any(|diagnostic| diagnostic.severity == Severity::Error)
    }

    /// Sorted by file and line.
    pub(crate) fn sorted(mut self) -> Self {
        self.0.sort_by(|a, b| {
            (&a.place, a.severity, a.code.as_str()).cmp(&(&b.place, b.severity, b.code.as_str()))
        });
        self
    }

    /// One after another.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }

    /// For `--json`.
    pub(crate) fn to_json(&self) -> serde_json::Value {
        self.0.iter().map(Diagnostic::to_json).collect()
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for diagnostic in &self.0 {
            writeln!(formatter, "{diagnostic}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Diagnostics {}
