//! What can be wrong with a container. Each is told apart, because each asks for something else.

use super::header::Kind;

/// Why a container cannot be read, or not be taken for whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormatError {
    /// Something else.
    #[error("this is no backup of Mainstay")]
    NotABackup,
    /// Of a later version.
    #[error(
        "this was written in format {found}, and this version of Mainstay knows {known} at most: use a newer one"
    )]
    Newer {
        /// Its format.
        found: u16,
        /// The latest one that is known.
        known: u16,
    },
    /// A backup in the place of a segment, or the other way round.
    #[error("this is {found}, not {wanted}")]
    WrongKind {
        /// What it is.
        found: Kind,
        /// What was asked for.
        wanted: Kind,
    },
    /// Bytes before the first chunk are not those that were written.
    #[error("its header is damaged")]
    DamagedHeader,
    /// No key was given.
    #[error(
        "it is encrypted with the key {made_with}: name its file with --key-file, or put it into MAINSTAY_BACKUP_KEY"
    )]
    KeyNeeded {
        /// The identity of the key.
        made_with: String,
    },
    /// Another key was given.
    #[error("it is encrypted with the key {made_with}, and the given one is {given}")]
    WrongKey {
        /// The identity of the key.
        made_with: String,
        /// That of the key that was given.
        given: String,
    },
    /// A key was given for nothing, which an attacker could have brought about.
    #[error("it is not encrypted, and a key was given: say --unencrypted if it is meant to be so")]
    NotEncrypted,
    /// A chunk does not open.
    #[error("it is damaged at chunk {chunk} (byte {at}): the chunk was changed, or is not in its place")]
    Damaged {
        /// Which one, from 0.
        chunk: u64,
        /// Where it begins.
        at: u64,
    },
    /// It ends before its end.
    #[error("it is cut off after {bytes} bytes: the rest of it is missing")]
    Truncated {
        /// How many there are.
        bytes: u64,
    },
    /// It goes on after its end.
    #[error("something follows after its end, at byte {at}")]
    Trailing {
        /// Where.
        at: u64,
    },
    /// Undamaged, and yet not what a writer writes.
    #[error("its content makes no sense: {0}")]
    Malformed(&'static str),
}
