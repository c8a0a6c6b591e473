//! Sealing chunks: with a key, or with a checksum in its place.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::digest::{SHA256, digest};
use ring::hkdf::{HKDF_SHA256, Salt};
use xxhash_rust::xxh3::Xxh3;

use super::error::FormatError;
use super::header::{Cipher, Encryption};
use crate::key::BackupKey;

/// What sealing adds to a chunk: the tag, or a checksum of the same length.
pub(super) const TAG_BYTES: usize = 16;

/// Bytes of the salt of a container.
pub(super) const SALT_BYTES: usize = 16;

/// What the key of a container is for.
const PURPOSE: &[u8] = b"mainstay backup 1 chunks";

/// Seals the chunks of one container, and opens them.
pub(super) struct Seal {
    key: Option<LessSafeKey>,
    /// The hash of the header, which every chunk belongs to.
    header: [u8; 32],
}

/// Where a chunk stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub number: u64,
    pub is_last: bool,
}

/// What the header says of a container that is sealed with `key`.
pub(super) fn describe(key: &BackupKey, salt: &[u8; SALT_BYTES]) -> Encryption {
    Encryption {
        cipher: Cipher::Aes256Gcm,
        key: key.id().to_owned(),
        salt: STANDARD.encode(salt),
    }
}

impl Seal {
    /// For a container whose bytes before the first chunk are `header`. The key is the one that `encryption` names.
    pub(super) fn new(
        header: &[u8],
        encryption: Option<(&Encryption, &BackupKey)>,
    ) -> Result<Self, FormatError> {
        let key = match encryption {
            None => None,
            Some((encryption, key)) => {
                let Cipher::Aes256Gcm = encryption.cipher;
                let wrong = FormatError::Malformed("the salt in its header has another form");
                let salt = STANDARD.decode(&encryption.salt).map_err(|_| wrong.clone())?;
                if salt.len() != SALT_BYTES {
                    return Err(wrong);
                }
                let extracted = Salt::new(HKDF_SHA256, &salt).extract(key.bytes());
                let expanded = extracted.expand(&[PURPOSE], &AES_256_GCM).map_err(|_| wrong)?;
                Some(LessSafeKey::new(UnboundKey::from(expanded)))
            }
        };
        let mut hash = [0; 32];
        hash.copy_from_slice(digest(&SHA256, header).as_ref());
        Ok(Self { key, header: hash })
    }

    /// Seals a chunk in its place and adds the tag. A place is sealed once: its nonce is its own.
    pub(super) fn seal(&self, place: Place, chunk: &mut Vec<u8>) -> Result<(), FormatError> {
        if let Some(key) = &self.key {
            let sealed = key.seal_in_place_append_tag(place.nonce(), Aad::from(self.header), chunk);
            return sealed.map_err(|_| FormatError::Malformed("a chunk is too long to be sealed"));
        }
        let checksum = self.checksum(place, chunk);
        chunk.extend_from_slice(&checksum);
        Ok(())
    }

    /// Opens a chunk; `None` when it is not the one that was sealed for this place.
    pub(super) fn open<'a>(&self, place: Place, sealed: &'a mut [u8]) -> Option<&'a [u8]> {
        if let Some(key) = &self.key {
            let opened = key.open_in_place(place.nonce(), Aad::from(self.header), sealed);
            return opened.ok().map(|chunk| &*chunk);
        }
        let length = sealed.len().checked_sub(TAG_BYTES)?;
        let (chunk, checksum) = sealed.split_at_checked(length)?;
        (self.checksum(place, chunk) == *checksum).then_some(chunk)
    }

    fn checksum(&self, place: Place, chunk: &[u8]) -> [u8; TAG_BYTES] {
        let mut hash = Xxh3::new();
        hash.update(&self.header);
        hash.update(&place.bytes());
        hash.update(chunk);
        hash.digest128().to_be_bytes()
    }
}

impl Place {
    /// The number in 11 bytes, and whether it is the last. The key is the container's own, so counting is enough.
    fn bytes(self) -> [u8; NONCE_LEN] {
        let mut bytes = [0; NONCE_LEN];
        let (number, last) = bytes.split_at_mut(NONCE_LEN - 1);
        if let Some(number) = number.last_chunk_mut() {
            *number = self.number.to_be_bytes();
        }
        last.fill(u8::from(self.is_last));
        bytes
    }

    fn nonce(self) -> Nonce {
        Nonce::assume_unique_for_key(self.bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_a_nonce_of_its_own() {
        let place = |number, is_last| Place { number, is_last }.bytes();
        assert_eq!(place(1, false), [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0]);
        assert_eq!(
            place(u64::MAX, true),
            [0, 0, 0, 255, 255, 255, 255, 255, 255, 255, 255, 1]
        );
    }
}
