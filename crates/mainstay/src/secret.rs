//! Secrets that Mainstay makes.

use std::fmt::Write as _;
use std::io;

/// 256 bits from the operating system, in hexadecimal digits.
pub(crate) fn random() -> io::Result<String> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    Ok(bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    }))
}
