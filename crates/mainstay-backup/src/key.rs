//! The key that backups are encrypted with.

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::digest::{SHA256, digest};
use zeroize::Zeroizing;

/// Bytes of a key.
pub(crate) const KEY_BYTES: usize = 32;

/// Largest file of a key: the key, and room for comments.
const MAX_FILE_BYTES: u64 = 4_096;

/// Hashed before a key to make its identity, so that it is the hash of nothing else.
const ID_LABEL: &[u8] = b"mainstay backup key identity 1\0";

/// Encrypts backups and opens them. Whoever has lost it has lost every backup that was made with it.
#[derive(Clone)]
pub struct BackupKey {
    bytes: Zeroizing<[u8; KEY_BYTES]>,
    id: String,
}

/// A key that cannot be used. What it is, is never part of it.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKey {
    /// Not a key.
    #[error("the key needs 32 bytes in base64: `mainstay backup --new-key FILE` makes one")]
    Malformed,
    /// The file cannot be read or made.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file holds no key.
    #[error(
        "{}: there is no key in it, which is one line of 32 bytes in base64: `mainstay backup --new-key FILE` makes one",
        path.display()
    )]
    NoKeyIn {
        /// The file.
        path: PathBuf,
    },
    /// Others can read the file.
    #[error("{}: others than its owner may use it (mode {mode:03o}): chmod 600 it", path.display())]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
}

impl BackupKey {
    /// A new key from the machine's random numbers.
    pub fn generate() -> io::Result<Self> {
        let mut bytes = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(bytes.as_mut()).map_err(io::Error::other)?;
        Ok(Self::new(bytes))
    }

    /// Reads 32 bytes in base64. Empty lines and those that begin with `#` are skipped.
    pub fn parse(text: &str) -> Result<Self, InvalidKey> {
        let lines = text.lines().map(str::trim);
        let mut lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let (Some(line), None) = (lines.next(), lines.next()) else {
            return Err(InvalidKey::Malformed);
        };
        let decoded = Zeroizing::new(STANDARD.decode(line).map_err(|_| InvalidKey::Malformed)?);
        let bytes = decoded.as_slice().try_into().map_err(|_| InvalidKey::Malformed)?;
        Ok(Self::new(Zeroizing::new(bytes)))
    }

    /// Reads a file with one key, which only its owner may be able to use. Blocks.
    pub fn from_file(path: &Path) -> Result<Self, InvalidKey> {
        let path = path.to_owned();
        let (file, mode) = match File::open(&path).and_then(|file| Ok((file.metadata()?, file))) {
            Ok((metadata, file)) => (file, metadata.permissions().mode() & 0o777),
            Err(source) => return Err(InvalidKey::File { path, source }),
        };
        if mode & 0o077 != 0 {
            return Err(InvalidKey::OpenToOthers { path, mode });
        }
        let mut text = Zeroizing::new(String::with_capacity(MAX_FILE_BYTES as usize));
        match file.take(MAX_FILE_BYTES).read_to_string(&mut text) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(InvalidKey::NoKeyIn { path });
            }
            Err(source) => return Err(InvalidKey::File { path, source }),
        }
        Self::parse(&text).map_err(|_| InvalidKey::NoKeyIn { path })
    }

    /// Writes it to a new file that only its owner may use, durably. One that exists is never replaced. Blocks.
    pub fn write_new(&self, path: &Path) -> Result<(), InvalidKey> {
        let written = (|| {
            let mut file = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(path)?;
            let encoded = Zeroizing::new(STANDARD.encode(self.bytes.as_ref()));
            writeln!(
                file,
                "# Key {} of Mainstay's backups. Without it they cannot be restored.",
                self.id
            )?;
            file.write_all(encoded.as_bytes())?;
            file.write_all(b"\n")?;
            file.sync_all()?;
            let folder = path.parent().filter(|parent| *parent != Path::new(""));
            File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
        })();
        written.map_err(|source| InvalidKey::File {
            path: path.to_owned(),
            source,
        })
    }

    /// What tells it from other keys, in 16 hexadecimal digits. It says nothing about the key.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The key itself.
    pub(crate) fn bytes(&self) -> &[u8; KEY_BYTES] {
        &self.bytes
    }

    fn new(bytes: Zeroizing<[u8; KEY_BYTES]>) -> Self {
        let labelled = Zeroizing::new([ID_LABEL, bytes.as_ref()].concat());
        let hash = digest(&SHA256, &labelled);
        let mut id = String::with_capacity(16);
        for byte in hash.as_ref().iter().take(8) {
            // Writing to a string cannot fail.
            let _ = write!(id, "{byte:02x}");
        }
        Self { bytes, id }
    }
}

/// Its identity only.
impl fmt::Debug for BackupKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "BackupKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_written_once_and_kept_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("backup.key");
        let key = BackupKey::generate().unwrap();
        key.write_new(&path).unwrap();
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        let read = BackupKey::from_file(&path).unwrap();
        assert_eq!((read.id(), read.bytes()), (key.id(), key.bytes()));

        let again = BackupKey::generate().unwrap().write_new(&path);
        assert!(matches!(again, Err(InvalidKey::File { .. })), "{again:?}");
        assert_eq!(BackupKey::from_file(&path).unwrap().id(), key.id());

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = BackupKey::from_file(&path).unwrap_err();
        assert!(error.to_string().contains("mode 640"), "{error}");
    }

    #[test]
    fn what_is_no_key_is_refused_and_not_shown() {
        for text in ["", "# only a comment", "hunter2", "AAAA", &"A".repeat(64)] {
            let error = BackupKey::parse(text).unwrap_err().to_string();
            assert!(error.contains("32 bytes in base64"), "{error}");
            assert!(!error.contains("hunter2"), "{error}");
        }
        let key = BackupKey::parse(&STANDARD.encode([7; 32])).unwrap();
        assert_eq!(format!("{key:?}"), format!("BackupKey({})", key.id()));
        assert_eq!(key.id().len(), 16);
        let two = format!("{0}\n{0}\n", STANDARD.encode([7; 32]));
        assert!(BackupKey::parse(&two).is_err(), "which of them?");
    }
}
