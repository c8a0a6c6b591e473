//! Sealing: each secret has a data key of its own, and the master key only wraps those.
//!
//! ```text
//! format (1) │ identity of the master key, 8 bytes
//!            │ nonce, 12 bytes │ data key wrapped by the master key, 32 + 16 bytes
//!            │ secret sealed with the data key, and 16 bytes
//! ```
//!
//! Both are AES-256-GCM. Component and name are authenticated with both, so nobody who can write to the store can exchange
//! two secrets. Exchanging the master key wraps the data keys anew and leaves the sealed secrets as they are.

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::keys::{ID_BYTES, KEY_BYTES, KeyRing, MasterKey, hexadecimal};
use crate::error::SecretsError;

const FORMAT: u8 = 1;
const TAG_BYTES: usize = 16;
const WRAPPED_BYTES: usize = KEY_BYTES + TAG_BYTES;

/// What a secret is sealed for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context<'a> {
    pub component: &'a str,
    pub name: &'a str,
}

impl Context<'_> {
    /// No component contains `/`, so no two contexts give the same bytes.
    fn bytes(&self, purpose: &str) -> Vec<u8> {
        format!("mainstay secrets {purpose} 1\0{}/{}", self.component, self.name).into_bytes()
    }

    fn unreadable(&self) -> SecretsError {
        SecretsError::Unreadable(self.name.to_owned())
    }
}

/// A data key as it is kept.
#[derive(Clone, Copy)]
struct Wrapping {
    id: [u8; ID_BYTES],
    nonce: [u8; NONCE_LEN],
    key: [u8; WRAPPED_BYTES],
}

/// An envelope taken apart.
struct Envelope<'a> {
    wrapping: Wrapping,
    sealed: &'a [u8],
}

impl<'a> Envelope<'a> {
    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (format, bytes) = bytes.split_first()?;
        let (id, bytes) = bytes.split_first_chunk()?;
        let (nonce, bytes) = bytes.split_first_chunk()?;
        let (key, sealed) = bytes.split_first_chunk()?;
        let wrapping = Wrapping {
            id: *id,
            nonce: *nonce,
            key: *key,
        };
        (*format == FORMAT).then_some(Self { wrapping, sealed })
    }

    fn bytes(&self) -> Vec<u8> {
        let Wrapping { id, nonce, key } = &self.wrapping;
        [&[FORMAT][..], id, nonce, key, self.sealed].concat()
    }
}

impl KeyRing {
    pub(super) fn seal(&self, context: &Context<'_>, plain: &[u8]) -> Result<Vec<u8>, SecretsError> {
        let mut data_key = Zeroizing::new([0; KEY_BYTES]);
        getrandom::fill(data_key.as_mut()).map_err(|_| SecretsError::NoRandomness)?;
        let mut sealed = Zeroizing::new(Vec::with_capacity(plain.len() + TAG_BYTES));
        sealed.extend_from_slice(plain);
        let key = aes(data_key.as_ref()).ok_or_else(|| context.unreadable())?;
        // Sealed in place; what was plain is overwritten.
        key.seal_in_place_append_tag(only_nonce(), Aad::from(context.bytes("value")), &mut *sealed)
            .map_err(|_| context.unreadable())?;
        let envelope = Envelope {
            wrapping: self.wrap(context, &data_key)?,
            sealed: &sealed,
        };
        Ok(envelope.bytes())
    }

    pub(super) fn open(
        &self,
        context: &Context<'_>,
        envelope: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, SecretsError> {
        let envelope = Envelope::parse(envelope).ok_or_else(|| context.unreadable())?;
        let data_key = self.unwrap(context, &envelope.wrapping)?;
        let mut plain = Zeroizing::new(envelope.sealed.to_vec());
        let key = aes(data_key.as_ref()).ok_or_else(|| context.unreadable())?;
        let length = key
            .open_in_place(only_nonce(), Aad::from(context.bytes("value")), &mut plain)
            .map_err(|_| context.unreadable())?
            .len();
        plain.truncate(length);
        Ok(plain)
    }

    /// The same secret under the first key; `None` when it is under it already.
    pub(super) fn rewrap(
        &self,
        context: &Context<'_>,
        envelope: &[u8],
    ) -> Result<Option<Vec<u8>>, SecretsError> {
        let envelope = Envelope::parse(envelope).ok_or_else(|| context.unreadable())?;
        if self
            .keys
            .first()
            .is_some_and(|first| first.id == envelope.wrapping.id)
        {
            return Ok(None);
        }
        let data_key = self.unwrap(context, &envelope.wrapping)?;
        let envelope = Envelope {
            wrapping: self.wrap(context, &data_key)?,
            ..envelope
        };
        Ok(Some(envelope.bytes()))
    }

    fn wrap(&self, context: &Context<'_>, data_key: &[u8; KEY_BYTES]) -> Result<Wrapping, SecretsError> {
        let MasterKey { id, key: master } = self.keys.first().ok_or_else(|| context.unreadable())?;
        let mut nonce = [0; NONCE_LEN];
        getrandom::fill(&mut nonce).map_err(|_| SecretsError::NoRandomness)?;
        let mut key = [0; WRAPPED_BYTES];
        let (text, tag) = key.split_at_mut(KEY_BYTES);
        text.copy_from_slice(data_key);
        let aad = Aad::from(context.bytes("key"));
        let sealed = master.seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), aad, text);
        tag.copy_from_slice(sealed.map_err(|_| context.unreadable())?.as_ref());
        Ok(Wrapping { id: *id, nonce, key })
    }

    fn unwrap(
        &self,
        context: &Context<'_>,
        wrapping: &Wrapping,
    ) -> Result<Zeroizing<[u8; KEY_BYTES]>, SecretsError> {
        let master = self.keys.iter().find(|key| key.id == wrapping.id);
        let master = master.ok_or_else(|| SecretsError::UnknownKey {
            name: context.name.to_owned(),
            sealed_with: hexadecimal(&wrapping.id),
            in_use: self.identities().collect::<Vec<_>>().join(", "),
        })?;
        let mut wrapped = Zeroizing::new(wrapping.key);
        let nonce = Nonce::assume_unique_for_key(wrapping.nonce);
        let opened = master
            .key
            .open_in_place(nonce, Aad::from(context.bytes("key")), wrapped.as_mut());
        let opened = opened.map_err(|_| context.unreadable())?;
        let data_key = opened.first_chunk().ok_or_else(|| context.unreadable())?;
        Ok(Zeroizing::new(*data_key))
    }
}

/// The identity of the key that an envelope needs.
pub(super) fn sealed_with(name: &str, envelope: &[u8]) -> Result<String, SecretsError> {
    let envelope = Envelope::parse(envelope);
    let envelope = envelope.ok_or_else(|| SecretsError::Unreadable(name.to_owned()))?;
    Ok(hexadecimal(&envelope.wrapping.id))
}

fn aes(key: &[u8]) -> Option<LessSafeKey> {
    Some(LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).ok()?))
}

/// A data key seals once in its life, so any nonce is new to it.
fn only_nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn ring(digits: &[&str]) -> KeyRing {
        let keys: Vec<String> = digits.iter().map(|digit| digit.repeat(64)).collect();
        KeyRing::parse(&keys.join("\n")).unwrap()
    }

    const CONTEXT: Context<'_> = Context {
        component: "vault",
        name: "db",
    };

    #[test]
    fn keys_are_exchanged_without_a_gap() {
        let sealed = ring(&["1"]).seal(&CONTEXT, b"hunter2").unwrap();
        let both = ring(&["2", "1"]);
        assert_eq!(**both.open(&CONTEXT, &sealed).unwrap(), *b"hunter2");
        let wrapped = both.rewrap(&CONTEXT, &sealed).unwrap().unwrap();
        assert_eq!(both.rewrap(&CONTEXT, &wrapped).unwrap(), None);
        let new = ring(&["2"]);
        assert_eq!(**new.open(&CONTEXT, &wrapped).unwrap(), *b"hunter2");

        let unknown = new.open(&CONTEXT, &sealed).unwrap_err();
        let (needed, there) = (ring(&["1"]), ring(&["2"]));
        assert_eq!(
            unknown,
            SecretsError::UnknownKey {
                name: "db".to_owned(),
                sealed_with: needed.identities().next().unwrap(),
                in_use: there.identities().next().unwrap(),
            }
        );
    }

    #[test]
    fn a_secret_opens_only_in_its_place() {
        let ring = ring(&["1"]);
        let sealed = ring.seal(&CONTEXT, b"hunter2").unwrap();
        for (component, name) in [("vault", "other"), ("other", "db"), ("vaul", "t/db")] {
            let moved = ring.open(&Context { component, name }, &sealed).unwrap_err();
            assert_eq!(moved, SecretsError::Unreadable(name.to_owned()));
        }
    }

    proptest! {
        #[test]
        fn sealing_is_undone_and_never_the_same(plain in proptest::collection::vec(any::<u8>(), 0..100)) {
            let ring = ring(&["1"]);
            let sealed = ring.seal(&CONTEXT, &plain).unwrap();
            prop_assert_ne!(&sealed, &ring.seal(&CONTEXT, &plain).unwrap());
            prop_assert_eq!(&**ring.open(&CONTEXT, &sealed).unwrap(), &plain);
        }

        #[test]
        fn a_changed_byte_is_noticed(plain in proptest::collection::vec(any::<u8>(), 0..50), at in any::<prop::sample::Index>(), change in 1_u8..) {
            let ring = ring(&["1"]);
            let mut sealed = ring.seal(&CONTEXT, &plain).unwrap();
            let at = at.index(sealed.len());
            sealed[at] ^= change;
            prop_assert!(ring.open(&CONTEXT, &sealed).is_err());
        }

        #[test]
        fn any_bytes_are_refused(bytes in proptest::collection::vec(any::<u8>(), 0..120)) {
            prop_assert!(ring(&["1"]).open(&CONTEXT, &bytes).is_err());
        }
    }
}
