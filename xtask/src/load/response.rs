//! Just enough HTTP/1.1 to know what an answer says and where it ends.

use anyhow::{Context, Result, bail};

/// Header that marks an answer which a fallback gave.
const FALLBACK_HEADER: &str = "mainstay-fallback";

/// A whole answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) status: u16,
    pub(super) is_fallback: bool,
    /// Whether the server is going to close the connection.
    pub(super) closes: bool,
}

/// How the end of a body is found.
enum Framing {
    Length(usize),
    Chunked,
}

/// Reads `input`, which holds nothing but the answer to one request; `None` while it is incomplete.
///
/// # Errors
/// When it is no HTTP, has no framing or goes on after its end.
pub(super) fn parse(input: &[u8]) -> Result<Option<Response>> {
    let mut headers = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head_bytes) = head.parse(input)? else {
        return Ok(None);
    };
    let status = head.code.context("an answer without status")?;
    let header = |name: &str| {
        head.headers
            .iter()
            .find(|header| header.name.eq_ignore_ascii_case(name))
    };
    let framing = match (header("content-length"), header("transfer-encoding")) {
        (Some(length), _) => Framing::Length(std::str::from_utf8(length.value)?.trim().parse()?),
        (None, Some(_)) => Framing::Chunked,
        (None, None) if matches!(status, 204 | 304) => Framing::Length(0),
        (None, None) => bail!("an answer with status {status} whose end cannot be told"),
    };
    let body = &input[head_bytes..];
    let whole = match framing {
        Framing::Length(length) if body.len() > length => bail!("an answer that goes on after its end"),
        Framing::Length(length) => body.len() == length,
        // Bodies here are small text; none holds this sequence before its end.
        Framing::Chunked => body.ends_with(b"0\r\n\r\n"),
    };
    Ok(whole.then(|| Response {
        status,
        is_fallback: header(FALLBACK_HEADER).is_some(),
        closes: header("connection").is_some_and(|header| header.value.eq_ignore_ascii_case(b"close")),
    }))
}
