//! The keys that secrets are sealed with.

use std::fmt::{self, Write as _};
use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, LessSafeKey, UnboundKey};
use ring::digest::{SHA256, digest};
use zeroize::Zeroizing;

use crate::limits::{MAX_KEY_FILE_BYTES, MAX_KEYS};

/// Bytes of a key.
pub(super) const KEY_BYTES: usize = 32;

/// Bytes of its identity.
pub(super) const ID_BYTES: usize = 8;

/// Hashed before a key to make its identity, so that it is the hash of nothing else.
const ID_LABEL: &[u8] = b"mainstay secrets key identity 1\0";

/// The keys of a component: the first one seals, all of them open.
///
/// To exchange the key, put a new one before the old one, call [`Stored::rewrap`](super::Stored::rewrap), then take the old
/// one away.
pub struct KeyRing {
    pub(super) keys: Vec<MasterKey>,
}

/// Wraps the keys of secrets, and never seals a secret itself.
pub(super) struct MasterKey {
    pub id: [u8; ID_BYTES],
    pub key: LessSafeKey,
}

/// Keys that cannot be used. What they are is never part of it.
#[derive(Debug, thiserror::Error)]
pub enum InvalidKeys {
    /// No key.
    #[error("there is no key: one a line, each 64 hexadecimal digits or 32 bytes in base64")]
    None,
    /// Too many.
    #[error("there are more than {MAX_KEYS} keys: take away those that no secret is sealed with any more")]
    TooMany,
    /// Not a key.
    #[error("line {0} is no key: it needs 64 hexadecimal digits, or 32 bytes in base64")]
    Malformed(usize),
    /// The same one again.
    #[error("line {0} is the same key as an earlier one")]
    Repeated(usize),
    /// The file cannot be read or made.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is no file of keys.
    #[error("{}: a file of keys has {MAX_KEY_FILE_BYTES} bytes at most", path.display())]
    LargeFile {
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

impl KeyRing {
    /// Reads keys: one a line, or between commas, each 64 hexadecimal digits or 32 bytes in base64. Empty lines and those that
    /// begin with `#` are skipped.
    pub fn parse(text: &str) -> Result<Self, InvalidKeys> {
        let mut keys: Vec<MasterKey> = Vec::new();
        for (number, line) in text.split(['\n', ',']).enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let key = decode(line).ok_or(InvalidKeys::Malformed(number + 1))?;
            let key = MasterKey::new(&key).ok_or(InvalidKeys::Malformed(number + 1))?;
            if keys.iter().any(|earlier| earlier.id == key.id) {
                return Err(InvalidKeys::Repeated(number + 1));
            }
            if keys.len() == MAX_KEYS {
                return Err(InvalidKeys::TooMany);
            }
            keys.push(key);
        }
        if keys.is_empty() {
            return Err(InvalidKeys::None);
        }
        Ok(Self { keys })
    }

    /// Reads a file of keys, which only its owner may be able to use. Blocks; belongs to the start of a program.
    pub fn from_file(path: &Path) -> Result<Self, InvalidKeys> {
        let failed = |source| InvalidKeys::File {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        let mode = metadata.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            let path = path.to_owned();
            return Err(InvalidKeys::OpenToOthers { path, mode });
        }
        if metadata.len() > MAX_KEY_FILE_BYTES {
            return Err(InvalidKeys::LargeFile {
                path: path.to_owned(),
            });
        }
        let mut text = Zeroizing::new(String::with_capacity(metadata.len() as usize + 1));
        file.take(MAX_KEY_FILE_BYTES)
            .read_to_string(&mut text)
            .map_err(failed)?;
        Self::parse(&text)
    }

    /// Reads the file, or makes it with a new key when it does not exist. Blocks; belongs to the start of a program.
    ///
    /// What is sealed with the key of a file that is lost is lost: keep a copy apart from the data.
    pub fn from_file_or_new(path: &Path) -> Result<Self, InvalidKeys> {
        match create(path) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(source) => {
                let path = path.to_owned();
                return Err(InvalidKeys::File { path, source });
            }
        }
        Self::from_file(path)
    }

    /// The identities of the keys, the one that seals first.
    pub fn identities(&self) -> impl Iterator<Item = String> {
        self.keys.iter().map(|key| hexadecimal(&key.id))
    }
}

impl MasterKey {
    fn new(key: &[u8]) -> Option<Self> {
        let labelled = Zeroizing::new([ID_LABEL, key].concat());
        let id = *digest(&SHA256, &labelled).as_ref().first_chunk()?;
        let key = UnboundKey::new(&AES_256_GCM, key).ok()?;
        Some(Self {
            id,
            key: LessSafeKey::new(key),
        })
    }
}

/// A file with a new key, written whole before it has its name, so that a crash leaves no broken one.
fn create(path: &Path) -> io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    let mut key = Zeroizing::new([0_u8; KEY_BYTES]);
    getrandom::fill(key.as_mut()).map_err(io::Error::other)?;
    let text = Zeroizing::new(format!("{}\n", *Zeroizing::new(hexadecimal(key.as_ref()))));
    let mut unfinished = path.as_os_str().to_owned();
    unfinished.push(format!(".{}.new", std::process::id()));
    let unfinished = PathBuf::from(unfinished);
    let written = (|| {
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        // Unlike a rename, a link does not replace the key that another process made meanwhile.
        std::fs::hard_link(&unfinished, path)?;
        File::open(
            path.parent()
                .filter(|parent| *parent != Path::new(""))
                .unwrap_or(Path::new(".")),
        )?
        .sync_all()
    })();
    // It may not have been made.
    let _ = std::fs::remove_file(&unfinished);
    written
}

fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let key = if text.len() == 2 * KEY_BYTES {
        let digits = text.as_bytes().chunks_exact(2);
        let bytes = digits.map(|pair| match pair {
            [high, low] => {
                let value = |digit: &u8| char::from(*digit).to_digit(16);
                u8::try_from(value(high)? * 16 + value(low)?).ok()
            }
            _ => None,
        });
        bytes.collect::<Option<Vec<u8>>>()?
    } else {
        STANDARD.decode(text).ok()?
    };
    let key = Zeroizing::new(key);
    (key.len() == KEY_BYTES).then_some(key)
}

pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Identities only.
impl fmt::Debug for KeyRing {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(self.identities()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identities(text: &str) -> Vec<String> {
        KeyRing::parse(text).unwrap().identities().collect()
    }

    #[test]
    fn both_forms_of_a_key_are_the_same() {
        let digits = "0f".repeat(32);
        let in_base64 = STANDARD.encode([0x0f; 32]);
        let one = identities(&digits);
        assert_eq!(one, identities(&in_base64));
        assert_eq!(one, identities(&digits.to_uppercase()));
        assert_eq!(one[0].len(), 2 * ID_BYTES);
    }

    #[test]
    fn comments_and_order_are_kept() {
        let (one, two) = ("1".repeat(64), "2".repeat(64));
        let ring = identities(&format!("# new\n{one}\n\n# old\r\n  {two}\n"));
        assert_eq!(ring, [identities(&one), identities(&two)].concat());
        assert_eq!(ring, identities(&format!("{one},{two}")));
    }

    #[test]
    fn mistakes_are_told_and_keys_are_not() {
        let one = "1".repeat(64);
        for (text, expected) in [
            ("", "there is no key"),
            ("# only a comment", "there is no key"),
            (&format!("{one}\nhunter2"), "line 2 is no key"),
            (&format!("{one}\n{one}"), "line 2 is the same key"),
            (&"x".repeat(64), "line 1 is no key"),
            (&"1".repeat(63), "line 1 is no key"),
            ("AAAA", "line 1 is no key"),
        ] {
            let error = KeyRing::parse(text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{error}");
            assert!(!error.contains("hunter2") && !error.contains("11"), "{error}");
        }
        let many: Vec<String> = (0..=MAX_KEYS).map(|number| format!("{number:064x}")).collect();
        assert!(matches!(
            KeyRing::parse(&many.join("\n")),
            Err(InvalidKeys::TooMany)
        ));
        let shown = format!("{:?}", KeyRing::parse(&one).unwrap());
        assert!(!shown.contains("1111"), "{shown}");
    }

    #[test]
    fn a_file_is_made_once_and_kept_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("secrets.key");
        assert!(matches!(KeyRing::from_file(&path), Err(InvalidKeys::File { .. })));
        let made: Vec<_> = KeyRing::from_file_or_new(&path).unwrap().identities().collect();
        let read: Vec<_> = KeyRing::from_file_or_new(&path).unwrap().identities().collect();
        assert_eq!(made, read);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).unwrap();
        let error = KeyRing::from_file(&path).unwrap_err();
        assert!(error.to_string().contains("mode 640"), "{error}");
    }
}
