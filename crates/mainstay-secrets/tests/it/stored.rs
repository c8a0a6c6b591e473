//! `secretstores.mainstay`: the conformance suite on every adapter of the store, and exchanging keys.

use std::sync::Arc;

use mainstay_secrets::conformance::Subject;
use mainstay_secrets::limits::MAX_SECRET_BYTES;
use mainstay_secrets::stored::{KeyRing, Rewrapped};
use mainstay_secrets::{Secret, SecretStore, SecretText, SecretsError, Stored};
use mainstay_store::embedded::{Embedded, Options};
use mainstay_store::simulated::{Faults, Simulated};
use mainstay_store::{Batch, Key, KeyRange, Scan, Store, Value};

fn keys(digits: &[&str]) -> KeyRing {
    let keys: Vec<String> = digits.iter().map(|digit| digit.repeat(64)).collect();
    KeyRing::parse(&keys.join("\n")).unwrap()
}

fn single(name: &str, value: &str) -> Secret {
    Secret::single(name, value.into())
}

async fn filled(store: Arc<dyn Store>, secrets: &[(&str, &str)]) -> Arc<Stored> {
    let stored = Stored::new(store, "secretstore", keys(&["1"])).unwrap();
    for (name, value) in secrets {
        stored.set(name, &single(name, value)).await.unwrap();
    }
    Arc::new(stored)
}

struct OnSimulated(Arc<Stored>);

impl Subject for OnSimulated {
    async fn open(secrets: &[(&str, &str)]) -> Self {
        Self(filled(Arc::new(Simulated::new()), secrets).await)
    }

    fn secrets(&self) -> Arc<dyn SecretStore> {
        self.0.clone()
    }
}

mod simulated {
    mainstay_secrets::conformance_suite!(super::OnSimulated);
}

struct OnDisk(
    Arc<Stored>,
    #[expect(dead_code, reason = "is removed when it is dropped")] tempfile::TempDir,
);

impl Subject for OnDisk {
    async fn open(secrets: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Embedded::open(&Options::new(folder.path())).unwrap());
        Self(filled(store, secrets).await, folder)
    }

    fn secrets(&self) -> Arc<dyn SecretStore> {
        self.0.clone()
    }
}

mod embedded {
    mainstay_secrets::conformance_suite!(super::OnDisk);
}

fn on(store: &Simulated, digits: &[&str]) -> Stored {
    Stored::new(Arc::new(store.clone()), "secretstore", keys(digits)).unwrap()
}

async fn exposed(secrets: &Stored, name: &str) -> Result<Vec<(String, String)>, SecretsError> {
    let secret = secrets.get(name).await?;
    let values = secret
        .values()
        .map(|(name, value)| (name.to_owned(), value.expose().to_owned()));
    Ok(values.collect())
}

#[tokio::test]
async fn a_secret_is_set_listed_and_deleted() {
    let secrets = on(&Simulated::new(), &["1"]);
    let many: Secret = [("user", "ada"), ("password", "hunter2")]
        .map(|(name, value)| (name.to_owned(), SecretText::from(value)))
        .into_iter()
        .collect();
    let version = secrets.set("db", &many).await.unwrap();
    assert_eq!(
        exposed(&secrets, "db").await.unwrap(),
        [("password", "hunter2"), ("user", "ada")].map(|(name, value)| (name.to_owned(), value.to_owned()))
    );
    let listed = secrets.list().await.unwrap();
    assert_eq!((listed[0].name.as_str(), listed[0].version), ("db", version));
    assert_eq!(Some(listed[0].key.clone()), keys(&["1"]).identities().next());

    let later = secrets.set("db", &single("db", "other")).await.unwrap();
    assert!(later > version);
    assert_eq!(
        exposed(&secrets, "db").await.unwrap(),
        [("db".to_owned(), "other".to_owned())]
    );
    assert_eq!(secrets.delete("db").await, Ok(true));
    assert_eq!(secrets.delete("db").await, Ok(false));
    assert!(secrets.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn nothing_of_a_value_is_in_the_store() {
    let store = Simulated::new();
    on(&store, &["1"])
        .set("db", &single("db", "hunter2"))
        .await
        .unwrap();
    let page = store.scan(&Scan::new(KeyRange::all())).await.unwrap();
    assert_eq!(page.entries.len(), 1);
    let bytes = page.entries[0].value.as_bytes();
    assert!(
        !bytes
            .windows(4)
            .any(|window| window == b"hunt" || window == b"ter2")
    );
}

#[tokio::test]
async fn components_do_not_share_secrets() {
    let store = Arc::new(Simulated::new());
    let one = Stored::new(store.clone(), "one", keys(&["1"])).unwrap();
    let two = Stored::new(store.clone(), "two", keys(&["1"])).unwrap();
    one.set("a", &single("a", "1")).await.unwrap();
    assert!(two.bulk().await.unwrap().is_empty());
    assert!(Stored::new(store, "a/b", keys(&["1"])).is_err());
}

#[tokio::test]
async fn the_largest_secret_fits() {
    let secrets = on(&Simulated::new(), &["1"]);
    let value = "x".repeat(MAX_SECRET_BYTES - 1);
    secrets.set("s", &single("s", &value)).await.unwrap();
    assert_eq!(exposed(&secrets, "s").await.unwrap()[0].1.len(), value.len());
    let more = secrets.set("s", &single("s", &(value + "x"))).await;
    assert!(matches!(more, Err(SecretsError::LargeSecret { .. })));
    let none = secrets.set("s", &Secret::default()).await;
    assert!(matches!(none, Err(SecretsError::ValueCount { .. })));
}

#[tokio::test]
async fn a_wrong_key_is_told() {
    let store = Simulated::new();
    on(&store, &["1"])
        .set("db", &single("db", "hunter2"))
        .await
        .unwrap();
    let wrong = on(&store, &["2", "3"]);
    for error in [
        wrong.check().await.unwrap_err(),
        wrong.get("db").await.unwrap_err(),
        wrong.bulk().await.unwrap_err(),
        wrong.rewrap().await.unwrap_err(),
    ] {
        let needed = keys(&["1"]).identities().next().unwrap();
        assert!(matches!(&error, SecretsError::UnknownKey { sealed_with, .. } if *sealed_with == needed));
        assert!(error.to_string().contains("add it as an old key"), "{error}");
    }
    // Whoever has no key can still see what is there, and replace it.
    assert_eq!(wrong.list().await.unwrap().len(), 1);
    wrong.set("db", &single("db", "new")).await.unwrap();
    wrong.check().await.unwrap();
}

#[tokio::test]
async fn keys_are_exchanged() {
    let store = Simulated::new();
    let before = on(&store, &["1"]);
    for number in 0..40 {
        let name = format!("s{number}");
        before.set(&name, &single(&name, "hunter2")).await.unwrap();
    }
    let versions = before.list().await.unwrap();
    let meanwhile = on(&store, &["2", "1"]);
    meanwhile.check().await.unwrap();
    meanwhile.set("s0", &single("s0", "changed")).await.unwrap();
    assert_eq!(
        meanwhile.rewrap().await.unwrap(),
        Rewrapped { done: 39, changed: 0 }
    );
    assert_eq!(meanwhile.rewrap().await.unwrap(), Rewrapped::default());

    let after = on(&store, &["2"]);
    after.check().await.unwrap();
    assert_eq!(exposed(&after, "s0").await.unwrap()[0].1, "changed");
    assert_eq!(exposed(&after, "s7").await.unwrap()[0].1, "hunter2");
    let listed = after.list().await.unwrap();
    for (old, new) in versions.iter().zip(&listed) {
        assert_eq!(old.version == new.version, new.name != "s0", "{}", new.name);
        assert_ne!(old.key, new.key);
    }
    assert!(before.check().await.is_err());
    // Once more, so that a kept version is kept again.
    on(&store, &["3", "2"]).rewrap().await.unwrap();
    let again = on(&store, &["3"]).list().await.unwrap();
    let versions = |listed: &[mainstay_secrets::stored::Listed]| {
        listed.iter().map(|each| each.version).collect::<Vec<_>>()
    };
    assert_eq!(versions(&again)[1..], versions(&listed)[1..]);
}

/// A secret that is set while it is wrapped anew keeps its new value.
#[tokio::test]
async fn wrapping_does_not_undo_changes() {
    for seed in 0..50 {
        let store = Simulated::with_faults(seed, Faults::default());
        on(&store, &["1"]).set("s", &single("s", "old")).await.unwrap();
        store.set_faults(Faults {
            max_yields: 8,
            ..Faults::default()
        });
        let both = on(&store, &["2", "1"]);
        let new = single("s", "new");
        let (wrapped, set) = tokio::join!(both.rewrap(), both.set("s", &new));
        wrapped.unwrap();
        set.unwrap();
        assert_eq!(
            exposed(&on(&store, &["2"]), "s").await.unwrap()[0].1,
            "new",
            "seed {seed}"
        );
    }
}

#[tokio::test]
async fn exchanged_and_damaged_records_are_noticed() {
    let store = Simulated::new();
    let secrets = on(&store, &["1"]);
    secrets.set("mine", &single("mine", "1")).await.unwrap();
    secrets.set("yours", &single("yours", "2")).await.unwrap();
    let key = |name: &str| Key::new(format!("secrets/secretstore/{name}")).unwrap();
    let stored = store
        .read(&[key("yours")])
        .await
        .unwrap()
        .values
        .remove(0)
        .unwrap();
    for value in [
        stored.value,
        Value::new("").unwrap(),
        Value::new(vec![0; 200]).unwrap(),
    ] {
        let mut batch = Batch::new();
        batch.put(key("mine"), value);
        store.commit(batch).await.unwrap();
        assert_eq!(
            exposed(&secrets, "mine").await,
            Err(SecretsError::Unreadable("mine".to_owned()))
        );
        assert!(secrets.check().await.is_err());
    }
}

#[tokio::test]
async fn one_value_is_set_and_the_others_stay() {
    let store = Simulated::new();
    let secrets = on(&store, &["1"]);
    secrets.set_value("db", "user", "ada".into()).await.unwrap();
    let before = secrets.list().await.unwrap()[0].version;
    let version = secrets.set_value("db", "password", "old".into()).await.unwrap();
    assert!(version > before);
    assert_eq!(secrets.list().await.unwrap()[0].version, version);
    secrets.set_value("db", "password", "new".into()).await.unwrap();
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    let expected = vec![pair("password", "new"), pair("user", "ada")];
    assert_eq!(exposed(&secrets, "db").await, Ok(expected));
    secrets.set("db", &single("db", "all")).await.unwrap();
    assert_eq!(exposed(&secrets, "db").await, Ok(vec![pair("db", "all")]));

    let nameless = secrets.set_value("", "user", "ada".into()).await;
    assert_eq!(nameless, Err(SecretsError::InvalidName(0)));
    let others = on(&store, &["2"]).set_value("db", "user", "ada".into()).await;
    assert!(
        matches!(others, Err(SecretsError::UnknownKey { .. })),
        "{others:?}"
    );
}

#[tokio::test]
async fn values_that_are_set_at_the_same_time_are_all_kept() {
    let secrets = Arc::new(on(&Simulated::new(), &["1"]));
    let names: Vec<String> = (0..8).map(|number| number.to_string()).collect();
    let setting = names.iter().cloned().map(|name| {
        let secrets = Arc::clone(&secrets);
        tokio::spawn(async move { secrets.set_value("db", &name, "v".into()).await })
    });
    let setting: Vec<_> = setting.collect();
    for set in setting {
        set.await.unwrap().unwrap();
    }
    let kept = exposed(&secrets, "db").await.unwrap();
    assert_eq!(kept.into_iter().map(|(name, _)| name).collect::<Vec<_>>(), names);
}
