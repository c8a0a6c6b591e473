//! What a manifest says of its archive.

use std::time::Duration;

use expect_test::expect;

use super::{check, load_text};
use crate::archive::ArchiveKey;

#[test]
fn an_archive_has_a_place_and_a_key() {
    let read = |archive: &str| {
        let text = format!("archive: {archive}\napps: {{ a: {{ command: x }} }}\n");
        let manifest = load_text(&text).expect("a manifest");
        manifest.archive.expect("an archive")
    };
    let plain = read("{ to: ./archive, unencrypted: true }");
    assert!(
        plain.to.show("x").ends_with("/archive/x"),
        "{}",
        plain.to.show("x")
    );
    assert_eq!((plain.every, plain.keep), (Duration::from_secs(10), None));
    assert!(matches!(plain.key, ArchiveKey::None));
    let sealed = read("{ to: \"/${HOME_TOWN}\", every: 1m, keep: 7d, key_file: ../backup.key }");
    assert_eq!(sealed.to.show("x"), "/Pisa/x");
    let week = Duration::from_secs(7 * 86_400);
    assert_eq!((sealed.every, sealed.keep), (Duration::from_secs(60), Some(week)));
    assert!(matches!(sealed.key, ArchiveKey::File(path) if path.ends_with("../backup.key")));
    let key = read("{ to: x, key: CQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQk= }").key;
    assert!(matches!(key, ArchiveKey::Key(_)));
}

#[test]
fn mistakes_have_a_place_and_a_way_out() {
    for (archive, expected) in [
        (
            "{ to: x }",
            expect![[r#"
            mainstay.yaml:2:1: error M022: the archive has no key
                name its file with `key_file` (`mainstay backup --new-key FILE` makes one), or write `unencrypted: true`
        "#]],
        ),
        (
            "{ to: x, key: hunter2 }",
            expect![[r#"
            mainstay.yaml:2:19: error M009: the key needs 32 bytes in base64: `mainstay backup --new-key FILE` makes one
                keep it out of the file: key: ${MAINSTAY_BACKUP_KEY}
        "#]],
        ),
        (
            "{ to: x, key_file: k, unencrypted: true }",
            expect![[r#"
            mainstay.yaml:2:1: error M022: the archive is told in several ways how it is encrypted
                keep one of `key`, `key_file` and `unencrypted: true`
        "#]],
        ),
        (
            "{ to: \"ftp://host/x\", every: 0s, keep: 7, unencrypted: true }",
            expect![[r#"
                mainstay.yaml:2:12: error M010: `ftp://` is nowhere a backup can be: write a path, or s3://bucket/key
                    write a folder, or s3://bucket/prefix
                mainstay.yaml:2:39: error M009: `archive.every`: `0s` must be longer than 0
                    for example 300ms
                mainstay.yaml:2:49: error M009: `archive.keep`: `7` has no unit: is it 7d or 7h? (units: ns us ms s m h d)
                    for example 7d
            "#]],
        ),
        (
            "{ to: \"s3://bucket/x\", unencrypted: true }",
            expect![[r#"
            mainstay.yaml:2:12: error M010: an S3 bucket needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment
                write a folder, or s3://bucket/prefix
        "#]],
        ),
        (
            "{ to: \"${NOPE}\", keep_for: 7d, unencrypted: true }",
            expect![[r#"
                mainstay.yaml:2:12: error M020: the variable `NOPE` is not set
                    set it in the environment of Mainstay
                mainstay.yaml:2:27: error M006: `archive` has no key `keep_for`
                    did you mean `keep`?
            "#]],
        ),
    ] {
        check(
            &format!("apps: {{ a: {{ command: x }} }}\narchive: {archive}\n"),
            expected,
        );
    }
}
