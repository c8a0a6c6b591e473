use mainstay_store::{Committed, Entry, Key, Token, Value, Version};
use proptest::prelude::*;

use super::*;
use crate::key::BackupKey;

/// Where the container lies that the first version wrote: every later one has to read it.
const GOLDEN: &[u8] = include_bytes!("golden/format-1.backup");

fn key(number: u8) -> BackupKey {
    use base64::Engine as _;
    BackupKey::parse(&base64::engine::general_purpose::STANDARD.encode([number; 32])).unwrap()
}

fn header(kind: Kind) -> Header {
    Header {
        kind,
        system: "shop".to_owned(),
        created_unix_ms: 1_795_180_448_250,
        mainstay: "0.1.0".to_owned(),
        after: Version::ZERO,
        at: Version::from_u64(7),
        compression: Compression::Zstd,
        encryption: None,
    }
}

fn entry(name: &str, value: impl Into<bytes::Bytes>, version: u64) -> Record {
    Record::Entry(Entry {
        key: Key::new(name.to_owned()).unwrap(),
        value: Value::new(value).unwrap(),
        version: Version::from_u64(version),
    })
}

/// One of each.
fn samples() -> Vec<Record> {
    let name = |text: &'static str| Key::new(text).unwrap();
    vec![
        Record::File(File {
            name: "secrets.key".to_owned(),
            content: "0f0f".into(),
        }),
        Record::Token(Token::new("once").unwrap(), Version::from_u64(3)),
        entry("stock/tea", "41", 5),
        entry("stock/empty", "", u64::MAX >> 1),
        Record::Commit(Committed {
            version: Version::from_u64(8),
            writes: vec![
                (name("stock/tea"), Some(Value::new("40").unwrap())),
                (name("stock/gone"), None),
            ],
            token: Some(Token::new("twice").unwrap()),
        }),
    ]
}

fn written(records: &[Record], key: Option<&BackupKey>) -> Vec<u8> {
    let mut writer = Writer::new(header(Kind::Backup), key.map(|key| (key, [9; 16]))).unwrap();
    let mut bytes = Vec::new();
    for record in records {
        writer.push(record).unwrap();
        bytes.extend(writer.take());
    }
    bytes.extend(writer.finish().unwrap().0);
    bytes
}

fn lock(key: Option<&BackupKey>) -> Lock {
    key.map_or(Lock::Open, |key| Lock::Key(key.clone()))
}

/// Reads a container that comes in pieces of this size.
fn read(bytes: &[u8], piece: usize, lock: Lock) -> Result<(Vec<Record>, Totals), FormatError> {
    let mut reader = Reader::new(lock);
    let mut records = Vec::new();
    for piece in bytes.chunks(piece) {
        reader.push(piece);
        while let Some(item) = reader.pull()? {
            if let Item::Record(record) = item {
                records.push(record);
            }
        }
    }
    Ok((records, reader.finish()?))
}

/// Where each chunk of a container begins, and where the last ends.
fn chunks(bytes: &[u8]) -> Vec<usize> {
    let (_, mut at) = header::read(bytes).unwrap().unwrap();
    let mut places = vec![at];
    while let Some(length) = bytes[at..].first_chunk() {
        at += 4 + (u32::from_be_bytes(*length) & !writer::LAST) as usize;
        places.push(at);
    }
    places
}

/// Four chunks that do not compress.
fn large(seed: u64) -> Vec<Record> {
    let mut state = seed;
    let mut random = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 56) as u8
    };
    let value = |random: &mut dyn FnMut() -> u8| (0..900_000).map(|_| random()).collect::<Vec<u8>>();
    (0..4)
        .map(|number| entry(&format!("key/{number}"), value(&mut random), number))
        .collect()
}

#[test]
fn what_is_written_is_read() {
    for key in [None, Some(&key(1))] {
        let bytes = written(&samples(), key);
        for piece in [1, 7, bytes.len()] {
            let (records, totals) = read(&bytes, piece, lock(key)).unwrap();
            assert_eq!(records, samples());
            let counts = (totals.entries, totals.tokens, totals.files, totals.commits);
            assert_eq!(counts, (2, 1, 1, 1));
            assert_eq!(totals.content_bytes, 11 + 11 + 21);
        }
        let bytes = written(&large(1), key);
        assert_eq!(chunks(&bytes).len(), 5);
        assert_eq!(read(&bytes, 100_000, lock(key)).unwrap().0, large(1));
        assert_eq!(read(&written(&[], key), 64, lock(key)).unwrap().0, []);
    }
}

#[test]
fn the_first_version_is_read_for_ever() {
    let (records, _) = read(GOLDEN, 64, lock(Some(&key(1)))).unwrap();
    assert_eq!(records, samples());
}

#[test]
fn no_part_is_taken_for_the_whole() {
    for key in [None, Some(&key(1))] {
        for bytes in [written(&samples(), key), written(&large(1), key)] {
            // At every byte of a small one, and at all boundaries of a large one.
            let ends: Vec<usize> = if bytes.len() < 4_000 {
                (0..bytes.len()).collect()
            } else {
                let places = chunks(&bytes);
                let around = places
                    .iter()
                    .flat_map(|place| [place - 1, *place, place + 1, place + 5]);
                around.filter(|end| *end < bytes.len()).collect()
            };
            for end in ends {
                let found = read(&bytes[..end], 100_000, lock(key)).unwrap_err();
                assert_eq!(found, FormatError::Truncated { bytes: end as u64 });
            }
        }
    }
}

#[test]
fn every_changed_bit_is_found() {
    for key in [None, Some(&key(1))] {
        let good = written(&samples(), key);
        for place in 0..good.len() {
            for bit in 0..8 {
                let mut bytes = good.clone();
                bytes[place] ^= 1 << bit;
                let found = read(&bytes, bytes.len(), lock(key));
                assert!(found.is_err(), "bit {bit} of byte {place}");
            }
        }
    }
}

#[test]
fn chunks_stay_in_their_places() {
    for key in [None, Some(&key(1))] {
        let (good, other) = (written(&large(1), key), written(&large(2), key));
        let places = chunks(&good);
        assert_eq!(places, chunks(&other), "both have the same shape");
        let chunk = |bytes: &[u8], number: usize| bytes[places[number]..places[number + 1]].to_vec();
        let head = good[..places[0]].to_vec();
        let assembled = |order: &[(&[u8], usize)]| {
            let chunks = order.iter().map(|(bytes, number)| chunk(bytes, *number));
            chunks.fold(head.clone(), |all, chunk| [all, chunk].concat())
        };
        let (g, o) = (good.as_slice(), other.as_slice());
        for (what, order) in [
            ("swapped", vec![(g, 1), (g, 0), (g, 2), (g, 3)]),
            ("left out", vec![(g, 0), (g, 2), (g, 3)]),
            ("twice", vec![(g, 0), (g, 1), (g, 1), (g, 2), (g, 3)]),
            ("the last one early", vec![(g, 0), (g, 3)]),
        ] {
            let found = read(&assembled(&order), 100_000, lock(key)).unwrap_err();
            assert!(matches!(found, FormatError::Damaged { .. }), "{what}: {found}");
        }
        if key.is_some() {
            // Same key and same salt here, so that only the content differs: the totals tell. With salts of their own, as
            // they are made, the chunk itself does not open.
            let mixed = assembled(&[(g, 0), (o, 1), (g, 2), (g, 3)]);
            assert!(read(&mixed, 100_000, lock(key)).is_err());
        }
        let longer = [good.as_slice(), b"x"].concat();
        let at = good.len() as u64;
        assert_eq!(
            read(&longer, 100_000, lock(key)),
            Err(FormatError::Trailing { at })
        );
    }
}

#[test]
fn a_chunk_of_another_container_does_not_open() {
    let key = key(1);
    let one = |salt| {
        let mut writer = Writer::new(header(Kind::Backup), Some((&key, salt))).unwrap();
        writer.push(&entry("a", "1", 1)).unwrap();
        writer.finish().unwrap().0
    };
    let (first, second) = (one([1; 16]), one([2; 16]));
    let place = chunks(&first)[0];
    let mixed = [&first[..place], &second[place..]].concat();
    let found = read(&mixed, 1_000, lock(Some(&key))).unwrap_err();
    assert!(matches!(found, FormatError::Damaged { chunk: 0, .. }), "{found}");
}

#[test]
fn each_mistake_has_its_error() {
    let (one, two) = (key(1), key(2));
    let sealed = written(&samples(), Some(&one));
    let plain = written(&samples(), None);
    let made_with = one.id().to_owned();
    let given = two.id().to_owned();
    let wrong = FormatError::WrongKey {
        made_with: made_with.clone(),
        given,
    };
    assert_eq!(read(&sealed, 64, lock(Some(&two))), Err(wrong));
    assert_eq!(
        read(&sealed, 64, Lock::Open),
        Err(FormatError::KeyNeeded { made_with })
    );
    assert_eq!(read(&plain, 64, lock(Some(&one))), Err(FormatError::NotEncrypted));

    let mut newer = sealed.clone();
    newer[MAGIC.len()..MAGIC.len() + 2].copy_from_slice(&9_u16.to_be_bytes());
    let error = FormatError::Newer { found: 9, known: 1 };
    assert_eq!(read(&newer, 64, lock(Some(&one))), Err(error));
    for other in [&b"PK\x03\x04"[..], b"mainstay back-up"] {
        assert_eq!(read(other, 64, Lock::Open), Err(FormatError::NotABackup));
    }
    let mut reader = Reader::new(Lock::Open).wanting(Kind::Segment);
    reader.push(&plain);
    let (found, wanted) = (Kind::Backup, Kind::Segment);
    assert_eq!(reader.pull(), Err(FormatError::WrongKind { found, wanted }));
}

fn any_key() -> impl Strategy<Value = Key> {
    proptest::collection::vec(any::<u8>(), 1..40).prop_map(|bytes| Key::new(bytes).unwrap())
}

fn any_value() -> impl Strategy<Value = Value> {
    proptest::collection::vec(any::<u8>(), 0..200).prop_map(|bytes| Value::new(bytes).unwrap())
}

fn any_token() -> impl Strategy<Value = Token> {
    proptest::collection::vec(any::<u8>(), 1..=64).prop_map(|bytes| Token::new(bytes).unwrap())
}

fn any_record() -> impl Strategy<Value = Record> {
    let version = || any::<u64>().prop_map(Version::from_u64);
    let writes = proptest::collection::vec((any_key(), proptest::option::of(any_value())), 0..5);
    prop_oneof![
        (any_key(), any_value(), version()).prop_map(|(key, value, version)| Record::Entry(Entry {
            key,
            value,
            version
        })),
        (any_token(), version()).prop_map(|(token, version)| Record::Token(token, version)),
        ("[a-z.]{1,20}", any_value()).prop_map(|(name, content)| Record::File(File {
            name,
            content: content.into_bytes()
        })),
        (version(), writes, proptest::option::of(any_token())).prop_map(|(version, writes, token)| {
            Record::Commit(Committed {
                version,
                writes,
                token,
            })
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_records_come_back(
        records in proptest::collection::vec(any_record(), 0..50),
        piece in 1_usize..3_000,
        sealed: bool,
    ) {
        let key = sealed.then(|| key(1));
        let bytes = written(&records, key.as_ref());
        let (read, _) = read(&bytes, piece, lock(key.as_ref())).unwrap();
        prop_assert_eq!(read, records);
    }

    /// Bytes of anybody, also such as begin well.
    #[test]
    fn garbage_is_refused_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..2_000), keep in 0_usize..400) {
        let good = written(&samples(), None);
        let begun = [&good[..keep.min(good.len() - 1)], &bytes].concat();
        prop_assert!(begun == good || read(&begun, 100, Lock::Open).is_err());
        let mut decoder = Decoder::default();
        decoder.push(&bytes);
        while let Ok(Some(_)) = decoder.pull() {}
    }
}
