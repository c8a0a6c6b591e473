//! Reading a text file, bounded.

use std::io::Read as _;
use std::path::Path;

use super::tree::MAX_BYTES;
use crate::diagnostic::{Code, Diagnostic, Place};

/// Reads a text file, bounded.
///
/// # Errors
/// It cannot be read, is too large, or is not UTF-8.
pub(crate) fn read(path: &Path, name: &str) -> Result<String, Diagnostic> {
    let unreadable = |message: String| Diagnostic::error(Code::UNREADABLE, Place::file(name), message);
    let file =
        std::fs::File::open(path).map_err(|error| unreadable(format!("it cannot be read: {error}")))?;
    let mut bytes = Vec::new();
    let limit = MAX_BYTES as u64 + 1;
    file.take(limit)
        .read_to_end(&mut bytes)
        .map_err(|error| unreadable(format!("it cannot be read: {error}")))?;
    String::from_utf8(bytes).map_err(|error| {
        let line = error
            .as_bytes()
            .iter()
            .take(error.utf8_error().valid_up_to())
            .filter(|byte| **byte == b'\n')
            .count();
        unreadable(format!("it is not UTF-8 text, first on line {}", line + 1))
    })
}
