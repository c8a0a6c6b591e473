//! Why a command ends without what was asked for, and the exit code that says so.

use std::fmt;

use serde_json::{Value, json};

use crate::diagnostic::Diagnostics;

/// Why a command ends without what was asked for: words for a person and the exit code for a script.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    reason: Reason,
}

#[derive(Debug)]
enum Reason {
    /// A sentence.
    Message(String),
    /// What is wrong in the user's files.
    Mistakes(Diagnostics),
}

impl Failure {
    /// The answer is no: nothing runs, a port is taken, the time is over. Exit code 1.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self {
            code: 1,
            reason: Reason::Message(message.into()),
        }
    }

    /// The command line or the configuration is wrong: asking again cannot help. Exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            code: 2,
            reason: Reason::Message(message.into()),
        }
    }

    /// What the process exits with.
    pub(crate) const fn code(&self) -> u8 {
        self.code
    }

    /// For a person, after the command has failed.
    pub(crate) fn report(&self) -> String {
        match &self.reason {
            Reason::Message(message) => format!("mainstay: {message}"),
            // Each begins with its own place, as compilers write it, so that editors find it.
            Reason::Mistakes(mistakes) => mistakes.to_string().trim_end().to_owned(),
        }
    }

    /// For `--json`.
    pub(crate) fn to_json(&self) -> Value {
        match &self.reason {
            Reason::Message(message) => json!({"error": message}),
            Reason::Mistakes(mistakes) => json!({
                "error": "there are mistakes in the configuration",
                "diagnostics": mistakes.to_json(),
            }),
        }
    }
}

impl From<Diagnostics> for Failure {
    /// Mistakes in the user's files. Exit code 2.
    fn from(mistakes: Diagnostics) -> Self {
        Self {
            code: 2,
            reason: Reason::Mistakes(mistakes),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reason {
            Reason::Message(message) => formatter.write_str(message),
            Reason::Mistakes(mistakes) => mistakes.fmt(formatter),
        }
    }
}

impl std::error::Error for Failure {}

/// What a command ends with: an exit code, or why it failed.
pub(crate) type Outcome = Result<u8, Failure>;
