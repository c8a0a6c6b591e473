//! Bits flip and files are cut: it is always noticed, and nothing wrong is ever given out.
//!
//! A store is filled so that it has everything: a log, files of the tree on several levels, tokens, deleted keys, changes
//! that are kept for a follower. Then one thing at a time is damaged, the store is opened, and everything is read. Either something says that it is damaged, or
//! every byte that comes back is the one that was written.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use mainstay_base::{Rng, SplitMix64};
use mainstay_store::embedded::{Embedded, OpenError, Options};
use mainstay_store::{
    Batch, Committed, Entry, FollowError, FollowerName, Following, Key, KeyRange, ReadError, Replicated,
    Scan, Store, Token, Value, Version,
};

/// How much is damaged; more on request.
const DAMAGES: &str = "MAINSTAY_STORE_DAMAGES";
const DEFAULT_DAMAGES: u64 = 400;

fn options(folder: &Path) -> Options {
    let mut options = Options::new(folder);
    options.memtable_bytes = 64 * 1_024;
    options
}

/// What is in a store.
#[derive(PartialEq)]
struct Contents {
    entries: Vec<Entry>,
    tokens: Vec<(Token, Version)>,
    followers: Vec<Following>,
    changes: Vec<Committed>,
}

/// What cannot be read, because it is damaged.
struct Refused;

fn archive() -> FollowerName {
    FollowerName::new("archive").unwrap()
}

/// A store with everything, closed or as a kill leaves it.
async fn fill(folder: &Path) -> Contents {
    let store = Embedded::open(&options(folder)).unwrap();
    store.follow(&archive()).await.unwrap();
    let mut rng = SplitMix64::new(3);
    for round in 0..600_u64 {
        let mut batch = Batch::new();
        let name = Key::new(format!("key/{:03}", rng.below(400))).unwrap();
        if rng.below(5) == 0 {
            batch.delete(name);
        } else {
            let text = format!("{round}/").repeat(1 + rng.below(200) as usize);
            batch.put(name, Value::new(text).unwrap());
        }
        if rng.below(10) == 0 {
            batch.set_token(Token::new(round.to_be_bytes().to_vec()).unwrap());
        }
        let version = store.commit(batch).await.unwrap().version;
        if round == 200 {
            store.confirm(&archive(), version).await.unwrap();
        }
    }
    let contents = read_all(&store).await.unwrap_or_else(|_| panic!("it is whole"));
    // Points and ranges must agree with it, so that both can be asked later.
    assert!(contents.entries.len() > 100 && contents.tokens.len() > 30);
    assert_eq!(contents.changes.len(), 399);
    contents
}

async fn read_all(store: &Embedded) -> Result<Contents, Refused> {
    let page = store.scan(&Scan::new(KeyRange::all())).await?;
    for number in 0..400 {
        let name = Key::new(format!("key/{number:03}")).unwrap();
        let point = store.read(std::slice::from_ref(&name)).await?.values.remove(0);
        let scanned = page.entries.iter().find(|entry| entry.key == name);
        let scanned = scanned.map(|entry| (&entry.value, entry.version));
        assert_eq!(
            point.as_ref().map(|stored| (&stored.value, stored.version)),
            scanned,
            "{name:?}"
        );
    }
    let followers = store.followers().await?;
    let mut changes = Vec::new();
    let mut after = followers
        .first()
        .map_or(Version::ZERO, |following| following.confirmed);
    loop {
        let part = store.changes(&archive(), after).await?;
        after = part.up_to;
        changes.extend(part.commits);
        if !part.has_more {
            break;
        }
    }
    Ok(Contents {
        entries: page.entries,
        tokens: store.tokens(None).await?,
        followers,
        changes,
    })
}

impl From<ReadError> for Refused {
    fn from(error: ReadError) -> Self {
        assert!(matches!(error, ReadError::Damaged(_)), "{error}");
        Self
    }
}

impl From<FollowError> for Refused {
    fn from(error: FollowError) -> Self {
        match error {
            FollowError::Read(error) => error.into(),
            other => panic!("{other}"),
        }
    }
}

/// Copies a folder; what is sparse or preallocated may become plain.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else {
            fs::copy(&path, &target).unwrap();
        }
    }
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[derive(Debug)]
enum Damage {
    Flip { offset: u64, bit: u64 },
    Zero { offset: u64, length: u64 },
    Cut { length: u64 },
    Remove,
}

impl Damage {
    fn random(rng: &mut SplitMix64, size: u64) -> Self {
        match rng.below(10) {
            0..=5 if size > 0 => Self::Flip {
                offset: rng.below(size),
                bit: rng.below(8),
            },
            6..=7 if size > 0 => Self::Zero {
                offset: rng.below(size),
                length: 1 + rng.below(600),
            },
            9 => Self::Remove,
            _ => Self::Cut {
                length: rng.below(size),
            },
        }
    }

    fn apply(&self, path: &Path) {
        if let Self::Remove = self {
            fs::remove_file(path).unwrap();
            return;
        }
        let file = File::options().read(true).write(true).open(path).unwrap();
        match self {
            Self::Flip { offset, bit } => {
                let mut byte = [0];
                file.read_exact_at(&mut byte, *offset).unwrap();
                file.write_all_at(&[byte[0] ^ (1 << bit)], *offset).unwrap();
            }
            Self::Zero { offset, length } => {
                let size = file.metadata().unwrap().len();
                let length = (*length).min(size - offset);
                file.write_all_at(&vec![0; length as usize], *offset).unwrap();
            }
            Self::Cut { length } => file.set_len(*length).unwrap(),
            Self::Remove => {}
        }
    }
}

/// What came of a damaged store.
#[derive(Debug, Default)]
struct Tally {
    refused_to_open: u64,
    refused_to_read: u64,
    whole: u64,
}

#[tokio::test]
async fn damage_is_noticed_and_never_served() {
    let damages = std::env::var(DAMAGES).map_or(DEFAULT_DAMAGES, |damages| damages.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("original");
    let expected = fill(&original).await;
    let names = files(&original);
    let mut rng = SplitMix64::new(20_261_120);
    let mut tally = Tally::default();
    for number in 0..damages {
        let victim = folder.path().join("victim");
        copy(&original, &victim);
        let name = &names[rng.below(names.len() as u64) as usize];
        let target = victim.join(name.strip_prefix(&original).unwrap());
        let damage = Damage::random(&mut rng, fs::metadata(&target).unwrap().len());
        damage.apply(&target);
        let what = format!("{number}: {damage:?} of {}", target.display());
        judge(&victim, &expected, &what, &mut tally).await;
        fs::remove_dir_all(&victim).unwrap();
    }
    println!("{tally:?}");
    assert!(
        tally.refused_to_open > 0 && tally.refused_to_read > 0,
        "{tally:?}"
    );
}

async fn judge(victim: &Path, expected: &Contents, what: &str, tally: &mut Tally) {
    let store = match Embedded::open(&options(victim)) {
        Ok(store) => store,
        Err(error) => {
            assert!(matches!(error, OpenError::Damaged { .. }), "{what}: {error}");
            tally.refused_to_open += 1;
            return;
        }
    };
    match read_all(&store).await {
        Err(Refused) => tally.refused_to_read += 1,
        Ok(found) => {
            assert!(found == *expected, "{what}: wrong data was served");
            tally.whole += 1;
        }
    }
}
