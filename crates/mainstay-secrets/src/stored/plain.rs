//! The bytes of a secret before they are sealed: for each value the length of its name, its name, its length, itself. Lengths
//! are 4 bytes, big endian.

use bytes::{Buf, BufMut};
use zeroize::Zeroizing;

use crate::error::SecretsError;
use crate::limits::{MAX_SECRET_BYTES, MAX_VALUES};
use crate::port::Secret;
use crate::text::SecretText;

pub(super) fn encode(name: &str, secret: &Secret) -> Result<Zeroizing<Vec<u8>>, SecretsError> {
    let values = secret.values().len();
    if !(1..=MAX_VALUES).contains(&values) {
        let name = name.to_owned();
        return Err(SecretsError::ValueCount { name, values });
    }
    let bytes: usize = secret
        .values()
        .map(|(name, value)| name.len() + value.len())
        .sum();
    if bytes > MAX_SECRET_BYTES {
        let name = name.to_owned();
        return Err(SecretsError::LargeSecret { name, bytes });
    }
    // With all of its room at once, so that growing leaves no copies behind.
    let mut plain = Zeroizing::new(Vec::with_capacity(bytes + 8 * values));
    for (name, value) in secret.values() {
        for part in [name, value.expose()] {
            plain.put_u32(part.len() as u32);
            plain.put_slice(part.as_bytes());
        }
    }
    Ok(plain)
}

pub(super) fn decode(name: &str, plain: &[u8]) -> Result<Secret, SecretsError> {
    parse(plain).ok_or_else(|| SecretsError::Unreadable(name.to_owned()))
}

fn parse(mut plain: &[u8]) -> Option<Secret> {
    let mut values = Vec::new();
    while !plain.is_empty() {
        let name = text(&mut plain)?;
        values.push((name, SecretText::new(text(&mut plain)?)));
    }
    Some(values.into_iter().collect())
}

fn text(plain: &mut &[u8]) -> Option<String> {
    let length = plain.try_get_u32().ok()? as usize;
    let (text, rest) = plain.split_at_checked(length)?;
    *plain = rest;
    std::str::from_utf8(text).ok().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn secrets_come_back(values in proptest::collection::btree_map(".{0,8}", ".{0,20}", 1..5)) {
            let secret: Secret = values.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
            let again = parse(&encode("s", &secret).unwrap()).unwrap();
            let shown: Vec<_> = again.values().map(|(name, value)| (name.to_owned(), value.expose().to_owned())).collect();
            prop_assert_eq!(shown, values.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = parse(&bytes);
        }
    }

    #[test]
    fn sizes_are_checked() {
        let none = encode("s", &Secret::default()).unwrap_err();
        assert!(matches!(none, SecretsError::ValueCount { values: 0, .. }));
        let many: Secret = (0..=MAX_VALUES)
            .map(|name| (name.to_string(), "v".into()))
            .collect();
        assert!(matches!(encode("s", &many), Err(SecretsError::ValueCount { .. })));
        let large = Secret::single("s", SecretText::new("x".repeat(MAX_SECRET_BYTES)));
        assert!(matches!(
            encode("s", &large),
            Err(SecretsError::LargeSecret { .. })
        ));
    }
}
