//! Values that commands read and print.

use std::borrow::Cow;
use std::io::{self, IsTerminal as _, Read, Write as _};

use mainstay_base::limits::MAX_BODY_BYTES;

use crate::failure::Failure;
use crate::render::clean::clean;

/// Most characters of a value in a table or a line.
const SHOWN_CHARS: usize = 100;

/// Takes the value of an argument, where `-` means standard input.
pub(super) fn argument(value: &str) -> Result<Vec<u8>, Failure> {
    if value == "-" {
        read(io::stdin().lock(), "standard input")
    } else {
        Ok(value.as_bytes().to_vec())
    }
}

/// Reads a value to its end; more than the control API takes is refused.
pub(super) fn read(source: impl Read, named: &str) -> Result<Vec<u8>, Failure> {
    let mut value = Vec::new();
    let limit = MAX_BODY_BYTES as u64 + 1;
    source
        .take(limit)
        .read_to_end(&mut value)
        .map_err(|error| Failure::refused(format!("cannot read {named}: {error}")))?;
    if value.len() > MAX_BODY_BYTES {
        return Err(Failure::usage(format!(
            "{named} has more than {MAX_BODY_BYTES} bytes"
        )));
    }
    Ok(value)
}

/// Prints a value as it is; on a terminal with a line break after it.
pub(super) fn print(value: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    let end: &[u8] = if stdout.is_terminal() { b"\n" } else { b"" };
    let written = stdout.write_all(value).and_then(|()| stdout.write_all(end));
    match written.and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::refused(format!("cannot write the result: {error}")))
        }
        _ => Ok(()),
    }
}

/// Tells a person something beside the result.
pub(super) fn note(text: &str) {
    // Nobody is left to be told when this fails.
    let _ = writeln!(io::stderr(), "{text}");
}

/// A value on one line: without what could steer a terminal, and not longer than can be read.
pub(crate) fn brief(value: &str) -> String {
    let one_line: Cow<'_, str> = if value.contains(['\n', '\r']) {
        value.replace("\r\n", " ").replace(['\n', '\r'], " ").into()
    } else {
        value.into()
    };
    let cleaned = clean(&one_line, false);
    match cleaned.char_indices().nth(SHOWN_CHARS) {
        None => cleaned.into_owned(),
        Some((end, _)) => format!("{}…", cleaned.get(..end).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_whole_or_not_at_all() {
        assert_eq!(argument("text").unwrap(), b"text");
        assert_eq!(read(&b"\x00\xff\n"[..], "it").unwrap(), b"\x00\xff\n");
        let large = vec![0; MAX_BODY_BYTES + 1];
        let failure = read(large.as_slice(), "it").unwrap_err();
        assert_eq!(failure.code(), 2);
    }

    #[test]
    fn a_brief_value_is_one_line() {
        assert_eq!(brief("a\nb\r\nc\x1b[2J"), "a b c");
        let long = "ü".repeat(SHOWN_CHARS + 1);
        assert_eq!(brief(&long), format!("{}…", "ü".repeat(SHOWN_CHARS)));
        assert_eq!(brief(&"ü".repeat(SHOWN_CHARS)), "ü".repeat(SHOWN_CHARS));
    }
}
