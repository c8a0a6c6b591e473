//! How a backup, or a segment of an archive, is laid out. Pure: bytes in, records out.
//!
//! ```text
//! "mainstay backup\n" │ format, 2 bytes │ length, 4 bytes │ header in JSON │ XXH3 of all that, 8 bytes
//! chunk:  length and, in its top bit, whether it is the last, 4 bytes │ sealed bytes
//! chunk …
//! ```
//!
//! Opened and decompressed (zstd), the chunks are one stream of [`Record`]s in pieces of 1 MiB, the last of which is
//! [`Totals`]. Numbers are big endian.
//!
//! *Encrypted*, a chunk is sealed with AES-256-GCM under a key made for this container alone (HKDF-SHA256 of the user's key
//! and a random salt). The nonce is the chunk's number and whether it is the last (the STREAM construction: Hoang,
//! Reyhanitabar, Rogaway, Vizár, "Online Authenticated-Encryption and its Nonce-Reuse Misuse-Resistance", 2015), and the
//! header is authenticated with each. So what was cut off, put elsewhere, taken from another container or changed does not
//! open. *Not encrypted*, a checksum over the same stands where the tag would: it finds damage, not an attacker.

mod error;
mod header;
mod reader;
mod record;
mod seal;
mod writer;

pub use error::FormatError;
pub use header::{Cipher, Compression, Encryption, FORMAT, Header, Kind, peek};
pub use reader::{Item, Lock, Reader};
pub(crate) use record::Tally;
pub use record::{Decoder, File, MAX_FILE_BYTES, Record, Totals, encode};
pub use writer::Writer;

/// How much of the stream of records one chunk holds, before compression.
pub const CHUNK_BYTES: usize = 1_024 * 1_024;

/// The first bytes of every container.
pub const MAGIC: &[u8; 16] = b"mainstay backup\n";

#[cfg(test)]
mod tests;
