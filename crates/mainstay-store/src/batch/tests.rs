use super::*;
use crate::limits::MAX_VALUE_BYTES;

fn key(text: &str) -> Key {
    Key::new(text.to_owned()).unwrap()
}

fn value(size: usize) -> Value {
    Value::new(vec![0; size]).unwrap()
}

#[test]
fn what_no_store_takes() {
    let mut batch = Batch::new();
    assert_eq!(batch.check(), Err(InvalidBatch::Empty));
    batch.require(Condition::KeyAbsent { key: key("a") });
    assert_eq!(batch.check(), Err(InvalidBatch::Empty));

    batch.put(key("a"), value(1));
    assert_eq!(batch.check(), Ok(()));
    batch.delete(key("a"));
    assert_eq!(batch.check(), Err(InvalidBatch::WrittenTwice(key("a"))));

    let mut batch = Batch::new();
    for index in 0..MAX_BATCH_BYTES / MAX_VALUE_BYTES {
        batch.put(key(&index.to_string()), value(MAX_VALUE_BYTES));
    }
    assert!(matches!(batch.check(), Err(InvalidBatch::TooLarge(_))));

    let mut batch = Batch::new();
    for index in 0..=MAX_BATCH_WRITES {
        batch.delete(key(&index.to_string()));
    }
    assert_eq!(
        batch.check(),
        Err(InvalidBatch::TooManyWrites(MAX_BATCH_WRITES + 1))
    );

    let mut batch = Batch::new();
    batch.delete(key("a"));
    for _ in 0..=MAX_BATCH_CONDITIONS {
        batch.require(Condition::KeyAbsent { key: key("a") });
    }
    assert_eq!(
        batch.check(),
        Err(InvalidBatch::TooManyConditions(MAX_BATCH_CONDITIONS + 1))
    );

    assert_eq!(Token::new(""), Err(InvalidBatch::TokenSize(0)));
    assert!(Token::new(vec![1; MAX_TOKEN_BYTES + 1]).is_err());
}

#[test]
fn appends_get_their_keys_from_the_version() {
    let log = AppendPrefix::new("log/").unwrap();
    let mut batch = Batch::new();
    assert_eq!(batch.append(log.clone(), value(1)), 0);
    batch.put(key("a"), value(2));
    assert_eq!(batch.append(log.clone(), value(3)), 1);
    assert_eq!(batch.check(), Ok(()));

    let version = Version::from_u64(77);
    let written: Vec<_> = batch
        .resolved(version)
        .map(|(key, value)| (key, value.map(|value| value.as_ref().len())))
        .collect();
    assert_eq!(
        written,
        [
            (Key::appended(&log, version, 0), Some(1)),
            (key("a"), Some(2)),
            (Key::appended(&log, version, 1), Some(3)),
        ]
    );
}
