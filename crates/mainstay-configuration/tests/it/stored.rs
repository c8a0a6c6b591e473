//! `configuration.mainstay`: the conformance suite on every adapter of the store, and the history.

use std::sync::Arc;

use mainstay_configuration::conformance::Subject;
use mainstay_configuration::limits::{MAX_CHANGES, MAX_HISTORY, MAX_METADATA_BYTES, MAX_VALUE_BYTES};
use mainstay_configuration::stored::{Change, Content};
use mainstay_configuration::{ConfigurationError, ConfigurationStore, Metadata, Stored};
use mainstay_store::embedded::{Embedded, Options};
use mainstay_store::simulated::{Faults, Simulated};
use mainstay_store::{CommitError, KeyRange, Scan, Store, Version};

struct OnSimulated {
    store: Simulated,
    configuration: Stored,
}

impl OnSimulated {
    fn new(store: Simulated) -> Self {
        let configuration = Stored::new(Arc::new(store.clone()), "configstore").unwrap();
        Self { store, configuration }
    }

    async fn value(&self, key: &str) -> Option<String> {
        let mut items = self.configuration.get(&[key.to_owned()]).await.unwrap();
        items.remove(key).map(|item| item.value)
    }
}

async fn set(configuration: &Stored, key: &str, value: &str) -> Option<Version> {
    let changes = [Change::set(key, value)];
    configuration.change(&changes, "ada").await.unwrap()
}

impl Subject for OnSimulated {
    async fn open() -> Self {
        Self::new(Simulated::new())
    }

    fn configuration(&self) -> Arc<dyn ConfigurationStore> {
        Arc::new(self.configuration.clone())
    }

    async fn set(&self, key: &str, value: &str) {
        set(&self.configuration, key, value).await;
    }

    async fn delete(&self, key: &str) {
        let deleted = self.configuration.change(&[Change::delete(key)], "ada").await;
        deleted.unwrap();
    }
}

mod simulated {
    mainstay_configuration::conformance_suite!(super::OnSimulated);
}

struct OnDisk {
    configuration: Stored,
    _folder: tempfile::TempDir,
}

impl Subject for OnDisk {
    async fn open() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Embedded::open(&Options::new(folder.path())).unwrap());
        let configuration = Stored::new(store, "configstore").unwrap();
        Self {
            configuration,
            _folder: folder,
        }
    }

    fn configuration(&self) -> Arc<dyn ConfigurationStore> {
        Arc::new(self.configuration.clone())
    }

    async fn set(&self, key: &str, value: &str) {
        set(&self.configuration, key, value).await;
    }

    async fn delete(&self, key: &str) {
        let deleted = self.configuration.change(&[Change::delete(key)], "ada").await;
        deleted.unwrap();
    }
}

mod embedded {
    mainstay_configuration::conformance_suite!(super::OnDisk);
}

#[tokio::test]
async fn components_do_not_share_keys() {
    let store = Arc::new(Simulated::new());
    let one = Stored::new(store.clone(), "one").unwrap();
    let two = Stored::new(store, "two").unwrap();
    set(&one, "k", "1").await;
    assert!(two.get(&[]).await.unwrap().is_empty());
}

#[tokio::test]
async fn changes_are_made_together_or_not_at_all() {
    let subject = OnSimulated::open().await;
    let content = Content {
        value: "1".to_owned(),
        metadata: Metadata::from([("unit".to_owned(), "ms".to_owned())]),
    };
    let changes = [
        Change {
            key: "a".to_owned(),
            content: Some(content),
        },
        Change::set("b", "2"),
    ];
    let version = subject
        .configuration
        .change(&changes, "ada")
        .await
        .unwrap()
        .unwrap();
    let items = subject.configuration.get(&[]).await.unwrap();
    assert!(items.values().all(|item| item.version == version.to_string()));
    assert_eq!(items["a"].metadata["unit"], "ms");

    let refused = [Change::delete("a"), Change::set("", "x")];
    assert!(subject.configuration.change(&refused, "ada").await.is_err());
    assert_eq!(subject.configuration.get(&[]).await.unwrap(), items);
}

#[tokio::test]
async fn what_is_so_already_is_no_change() {
    let subject = OnSimulated::open().await;
    set(&subject.configuration, "a", "1").await.unwrap();
    assert_eq!(set(&subject.configuration, "a", "1").await, None);
    let nothing = [Change::delete("b")];
    assert_eq!(subject.configuration.change(&nothing, "ada").await, Ok(None));
    assert_eq!(subject.configuration.change(&[], "ada").await, Ok(None));
    assert_eq!(subject.configuration.history("a").await.unwrap().len(), 1);
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused() {
    let configuration = OnSimulated::open().await.configuration;
    let refused = async |changes: &[Change], by: &str| configuration.change(changes, by).await.unwrap_err();
    let large = Change::set("a", "x".repeat(MAX_VALUE_BYTES + 1));
    let bytes = MAX_VALUE_BYTES + 1;
    let key = "a".to_owned();
    assert_eq!(
        refused(&[large], "ada").await,
        ConfigurationError::LargeValue { key, bytes }
    );
    let mut much = Change::set("a", "x");
    let metadata = Metadata::from([("m".to_owned(), "x".repeat(MAX_METADATA_BYTES))]);
    much.content.as_mut().unwrap().metadata = metadata;
    assert!(matches!(
        refused(&[much], "ada").await,
        ConfigurationError::LargeMetadata { .. }
    ));
    let twice = [Change::set("a", "1"), Change::delete("a")];
    assert_eq!(
        refused(&twice, "ada").await,
        ConfigurationError::ChangedTwice("a".to_owned())
    );
    let many = vec![Change::delete("a"); MAX_CHANGES + 1];
    assert_eq!(
        refused(&many, "ada").await,
        ConfigurationError::TooManyChanges(many.len())
    );
    assert_eq!(refused(&[], "").await, ConfigurationError::InvalidAuthor(0));
    assert!(matches!(
        refused(&[Change::delete("a\0b")], "ada").await,
        ConfigurationError::InvalidKey(_)
    ));
    assert!(
        configuration
            .change(&[Change::set("a", "x".repeat(MAX_VALUE_BYTES))], "ada")
            .await
            .is_ok()
    );
}

#[tokio::test]
async fn the_history_tells_who_changed_what() {
    let subject = OnSimulated::open().await;
    let first = set(&subject.configuration, "a", "1").await.unwrap();
    set(&subject.configuration, "a\u{1}", "other").await.unwrap();
    let deletion = [Change::delete("a")];
    let second = subject
        .configuration
        .change(&deletion, "bob")
        .await
        .unwrap()
        .unwrap();
    let history = subject.configuration.history("a").await.unwrap();
    let told: Vec<_> = history
        .iter()
        .map(|change| {
            let value = |content: &Option<Content>| content.as_ref().map(|content| content.value.clone());
            (
                change.version,
                change.by.as_str(),
                value(&change.before),
                value(&change.after),
            )
        })
        .collect();
    let one = Some("1".to_owned());
    assert_eq!(
        told,
        [(second, "bob", one.clone(), None), (first, "ada", None, one)]
    );
    assert!(
        history
            .iter()
            .all(|change| change.version.unix_ms() > 0 && change.undoes.is_none())
    );
}

#[tokio::test]
async fn the_history_is_bounded() {
    let subject = OnSimulated::open().await;
    for value in 0..3 * MAX_HISTORY {
        set(&subject.configuration, "a", &value.to_string())
            .await
            .unwrap();
    }
    let history = subject.configuration.history("a").await.unwrap();
    assert_eq!(history.len(), MAX_HISTORY);
    let newest = history.first().unwrap().after.as_ref().unwrap();
    assert_eq!(newest.value, (3 * MAX_HISTORY - 1).to_string());
    let page = subject.store.scan(&Scan::new(KeyRange::all())).await.unwrap();
    assert_eq!(page.entries.len(), MAX_HISTORY + 1);
}

#[tokio::test]
async fn the_longest_history_of_the_largest_values_is_read() {
    let subject = OnSimulated::open().await;
    for number in 0..MAX_HISTORY + 2 {
        // Each byte takes six in JSON.
        let value = "\u{1}".repeat(MAX_VALUE_BYTES - number);
        set(&subject.configuration, "a", &value).await.unwrap();
    }
    assert_eq!(
        subject.configuration.history("a").await.unwrap().len(),
        MAX_HISTORY
    );
}

#[tokio::test]
async fn a_change_is_undone_and_made_again() {
    let subject = OnSimulated::open().await;
    set(&subject.configuration, "a", "1").await;
    let change = set(&subject.configuration, "a", "2").await.unwrap();
    let undone = subject
        .configuration
        .undo("a", Some(change), "bob")
        .await
        .unwrap();
    assert_eq!(subject.value("a").await.as_deref(), Some("1"));
    let last = subject.configuration.history("a").await.unwrap().remove(0);
    assert_eq!(
        (last.version, last.by.as_str(), last.undoes),
        (undone, "bob", Some(change))
    );

    // The change itself is not the last one any more.
    let again = subject.configuration.undo("a", Some(change), "bob").await;
    assert_eq!(again, Err(ConfigurationError::ChangedSince("a".to_owned())));
    subject.configuration.undo("a", None, "bob").await.unwrap();
    assert_eq!(subject.value("a").await.as_deref(), Some("2"));
}

#[tokio::test]
async fn creations_and_deletions_are_undone() {
    let subject = OnSimulated::open().await;
    let nothing = ConfigurationError::NothingToUndo("a".to_owned());
    assert_eq!(
        subject.configuration.undo("a", None, "bob").await,
        Err(nothing.clone())
    );
    set(&subject.configuration, "a", "1").await;
    let unknown = subject
        .configuration
        .undo("a", Some(Version::from_u64(7)), "bob")
        .await;
    assert_eq!(unknown, Err(nothing));
    subject.configuration.undo("a", None, "bob").await.unwrap();
    assert_eq!(subject.value("a").await, None);
    set(&subject.configuration, "a", "2").await;
    subject.delete("a").await;
    subject.configuration.undo("a", None, "bob").await.unwrap();
    assert_eq!(subject.value("a").await.as_deref(), Some("2"));
}

/// Two who undo the same change: one of them is told that it was undone.
#[tokio::test]
async fn a_change_is_undone_once() {
    for seed in 0..50 {
        let faults = Faults {
            max_yields: 6,
            ..Faults::default()
        };
        let subject = OnSimulated::new(Simulated::with_faults(seed, faults));
        set(&subject.configuration, "a", "1").await;
        let change = set(&subject.configuration, "a", "2").await;
        let undo = || subject.configuration.undo("a", change, "bob");
        let (one, two) = tokio::join!(undo(), undo());
        let done = [&one, &two].iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(done, 1, "seed {seed}: {one:?} {two:?}");
        assert_eq!(subject.value("a").await.as_deref(), Some("1"), "seed {seed}");
    }
}

/// Whatever the store does, the history leads from nothing to what is there.
#[tokio::test]
async fn the_history_is_complete() {
    for seed in 0..50 {
        let faults = Faults {
            rivals: 200,
            unknown: 200,
            overloads: 100,
            max_yields: 3,
            ..Faults::default()
        };
        let subject = OnSimulated::new(Simulated::with_faults(seed, faults));
        for value in 0..20 {
            let change = match value % 5 {
                4 => Change::delete("a"),
                _ => Change::set("a", value.to_string()),
            };
            match subject.configuration.change(&[change], "ada").await {
                Ok(_)
                | Err(ConfigurationError::Commit(CommitError::UnknownOutcome(_) | CommitError::Overloaded)) =>
                    {}
                Err(error) => panic!("seed {seed}: {error}"),
            }
        }
        subject.store.set_faults(Faults::default());
        let mut present: Option<Content> = None;
        for change in subject
            .configuration
            .history("a")
            .await
            .unwrap()
            .into_iter()
            .rev()
        {
            assert_eq!(change.before, present, "seed {seed}");
            present = change.after;
        }
        assert_eq!(
            subject.value("a").await,
            present.map(|content| content.value),
            "seed {seed}"
        );
    }
}

#[tokio::test]
async fn a_closed_store_ends_subscriptions() {
    let subject = OnSimulated::open().await;
    let mut subscription = subject
        .configuration
        .subscribe(Vec::new(), &Metadata::new())
        .await
        .unwrap();
    subject.store.close();
    assert_eq!(subscription.changed().await, Err(ConfigurationError::Closed));
}
