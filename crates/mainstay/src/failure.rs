//! Why a command ends without what was asked for, and the exit code that says so.

use std::fmt;

/// Why a command ends without what was asked for: a sentence for a person and the exit code for a script.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    message: String,
}

impl Failure {
    /// The answer is no: nothing runs, a port is taken, the time is over. Exit code 1.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self {
            code: 1,
            message: message.into(),
        }
    }

    /// The command line or the configuration is wrong: asking again cannot help. Exit code 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self {
            code: 2,
            message: message.into(),
        }
    }

    /// What the process exits with.
    pub(crate) const fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Failure {}

/// What a command ends with: an exit code, or why it failed.
pub(crate) type Outcome = Result<u8, Failure>;
