use proptest::prelude::*;

use super::*;

fn key(name: &str, digit: &str) -> EncryptionKey {
    EncryptionKey::parse(name, &digit.repeat(64)).unwrap()
}

fn text(sealed: &Bytes) -> &str {
    std::str::from_utf8(sealed).unwrap()
}

#[test]
fn keys_are_exchanged_without_a_gap() {
    let before = Encryption::new(key("old", "1"), None);
    let sealed = before.seal(b"secret").unwrap();
    assert!(text(&sealed).ends_with("||old"));

    let meanwhile = Encryption::new(key("new", "2"), Some(key("old", "1")));
    assert_eq!(meanwhile.open(&sealed).unwrap(), "secret");
    let anew = meanwhile.seal(b"secret").unwrap();
    assert!(text(&anew).ends_with("||new"));

    let after = Encryption::new(key("new", "2"), None);
    assert_eq!(after.open(&anew).unwrap(), "secret");
    let unknown = Err(EncryptionError::UnknownKey("old".to_owned()));
    assert_eq!(after.open(&sealed), unknown);
}

#[test]
fn keys_of_one_name_are_both_tried() {
    let sealed = Encryption::new(key("key", "1"), None).seal(b"secret").unwrap();
    let both = Encryption::new(key("key", "2"), Some(key("key", "1")));
    assert_eq!(both.open(&sealed).unwrap(), "secret");
    let wrong = Encryption::new(key("key", "2"), None).open(&sealed);
    assert_eq!(wrong, Err(EncryptionError::WrongKey("key".to_owned())));
}

/// Test case 14 of the specification of GCM (`McGrew` and Viega, 2005): 32 zero bytes as key, 12 as nonce, 16 as text.
#[test]
fn the_layout_is_that_of_dapr() {
    let published = [
        0xce, 0xa7, 0x40, 0x3d, 0x4d, 0x60, 0x6b, 0x6e, 0x07, 0x4e, 0xc5, 0xd3, 0xba, 0xf3, 0x9d, 0x18, 0xd0,
        0xd1, 0xc8, 0xa7, 0x99, 0x99, 0x6b, 0xf0, 0x26, 0x5b, 0x98, 0xb5, 0xd4, 0x8a, 0xb9, 0x19,
    ];
    let sealed = [&[0; 12], published.as_slice()].concat();
    let value = format!("{}||secret", STANDARD.encode(sealed));
    let encryption = Encryption::new(key("secret", "0"), None);
    assert_eq!(encryption.open(value.as_bytes()).unwrap(), vec![0; 16]);
}

#[test]
fn what_is_not_sealed_is_refused() {
    let encryption = Encryption::new(key("key", "1"), None);
    for value in ["plain", "\"text\"", "!||key", "{}"] {
        assert_eq!(
            encryption.open(value.as_bytes()),
            Err(EncryptionError::NotSealed),
            "{value}"
        );
    }
    let wrong = Err(EncryptionError::WrongKey("key".to_owned()));
    assert_eq!(encryption.open(b"||key"), wrong);
    assert_eq!(encryption.open(b""), Ok(Bytes::new()));
}

#[test]
fn keys_are_checked_and_never_shown() {
    let digits = "ab".repeat(32);
    let shown = format!(
        "{:?}",
        Encryption::new(EncryptionKey::parse("key", &digits).unwrap(), None)
    );
    assert!(shown.contains("key") && !shown.contains("abab"), "{shown}");
    assert!(EncryptionKey::parse("key", &"AB".repeat(16)).is_ok());
    for wrong in ["", "ab", &"a".repeat(63), &"xy".repeat(32), &"ab".repeat(24)] {
        let error = EncryptionKey::parse("key", wrong).unwrap_err();
        assert_eq!(error, InvalidEncryptionKey::Digits("key".to_owned()));
    }
    for wrong in ["", "a||b", "|a"] {
        assert!(EncryptionKey::parse(wrong, &digits).is_err(), "{wrong}");
    }
}

proptest! {
    #[test]
    fn sealing_is_undone_and_fits(value in proptest::collection::vec(any::<u8>(), 0..200), limit in 100_usize..400) {
        let encryption = Encryption::new(key("key", "1"), None);
        let sealed = encryption.seal(&value).unwrap();
        prop_assert_ne!(&sealed, &encryption.seal(&value).unwrap());
        prop_assert_eq!(encryption.open(&sealed).unwrap(), &value);
        prop_assert_eq!(sealed.len() <= limit, value.len() <= encryption.room(limit));
    }

    #[test]
    fn a_changed_byte_is_noticed(value in proptest::collection::vec(any::<u8>(), 0..50), at in any::<prop::sample::Index>(), change in 1_u8..) {
        let encryption = Encryption::new(key("key", "1"), None);
        let sealed = encryption.seal(&value).unwrap();
        let mut changed = sealed.to_vec();
        let at = at.index(changed.len());
        changed[at] ^= change;
        prop_assert!(encryption.open(&changed).is_err());
    }
}
