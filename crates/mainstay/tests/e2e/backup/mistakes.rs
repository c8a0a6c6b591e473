//! What is not whole is never restored, and what is wrong is told.

use super::{MANIFEST, Vault, mainstay, save, text};
use crate::harness::System;

#[tokio::test]
async fn a_backup_that_is_not_whole_is_refused_and_changes_nothing() {
    let vault = Vault::new().await;
    let system = System::start(MANIFEST).await;
    for number in 0..20 {
        save(&system, &format!("key-{number}"), &"value ".repeat(500)).await;
    }
    let target = vault.path("a.backup");
    system
        .succeeds(&["backup", text(&target), "--key-file", vault.key()])
        .await;
    let again = system
        .mainstay(&["backup", text(&target), "--key-file", vault.key()])
        .await;
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.stderr.contains("never overwritten"), "{again:?}");

    let good = std::fs::read(&target).expect("a backup");
    let into = vault.path("data");
    let damaged = vault.path("damaged.backup");
    let attempt = async |bytes: &[u8], words: &[&str]| {
        std::fs::write(&damaged, bytes).expect("a file");
        let verified = mainstay(&["backup", "verify", text(&damaged), "--key-file", vault.key()]).await;
        let restored = mainstay(&[
            "restore",
            text(&damaged),
            "--key-file",
            vault.key(),
            "--to-dir",
            text(&into),
        ])
        .await;
        for refused in [verified, restored] {
            assert_eq!(refused.code, 1, "{refused:?}");
            let said = words.iter().any(|word| refused.stderr.contains(word));
            assert!(said, "{words:?}: {refused:?}");
        }
        assert!(!into.join("store").exists() && !into.join("store.restoring").exists());
    };
    for part in 0..10 {
        let at = part * (good.len() - 1) / 9;
        let mut bytes = good.clone();
        bytes[at] ^= 0x40;
        attempt(&bytes, &["damaged", "is no backup", "newer one", "cut off"]).await;
    }
    for part in 1..5 {
        attempt(&good[..good.len() * part / 5], &["is cut off after"]).await;
    }
    attempt(&[&good[..], b"x"].concat(), &["something follows after its end"]).await;
    attempt(b"PK\x03\x04 something else", &["this is no backup of Mainstay"]).await;
}

#[tokio::test]
async fn keys_are_asked_for_and_told_apart() {
    let (vault, other) = (Vault::new().await, Vault::new().await);
    let system = System::start(MANIFEST).await;
    let (sealed, plain) = (vault.path("sealed.backup"), vault.path("plain.backup"));
    let keyless = system.mainstay(&["backup", text(&sealed)]).await;
    assert_eq!(keyless.code, 2, "{keyless:?}");
    assert!(keyless.stderr.contains("--new-key"), "{keyless:?}");
    assert!(!sealed.exists());
    system
        .succeeds(&["backup", text(&sealed), "--key-file", vault.key()])
        .await;
    let told = system.succeeds(&["backup", text(&plain), "--unencrypted"]).await;
    assert!(told.contains("secrets.key"), "{told}");

    for (arguments, words) in [
        (vec![text(&sealed)], "is encrypted with the key"),
        (
            vec![text(&sealed), "--key-file", other.key()],
            "and the given one is",
        ),
        (
            vec![text(&plain), "--key-file", vault.key()],
            "it is not encrypted",
        ),
    ] {
        let verified = mainstay(&[&["backup", "verify"][..], &arguments].concat()).await;
        assert_eq!(verified.code, 1, "{verified:?}");
        assert!(verified.stderr.contains(words), "{verified:?}");
    }
    let verified = mainstay(&["backup", "verify", text(&plain)]).await;
    assert_eq!(verified.code, 0, "{verified:?}");

    let twice = mainstay(&["backup", "--new-key", vault.key()]).await;
    assert_eq!(twice.code, 1, "{twice:?}");
    let elsewhere = vault.path("elsewhere");
    for (arguments, words) in [
        (vec!["backup"], "TARGET"),
        (
            vec!["backup", "ftp://x/y", "--unencrypted"],
            "is nowhere a backup can be",
        ),
        (
            vec!["restore", text(&plain), "--until", "yesterday"],
            "is no moment",
        ),
        (
            vec![
                "restore",
                text(&plain),
                "--until",
                "10m",
                "--to-dir",
                text(&elsewhere),
            ],
            "--archive",
        ),
    ] {
        let refused = mainstay(&arguments).await;
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.stderr.contains(words), "{refused:?}");
    }
}
