//! Notes in a file, one line each, that outlive the process. The number of a line is its time, for all processes that
//! write to the file.
//!
//! ```text
//!   c NUMBER ID PLAN          a commit begins          q NUMBER              a read begins
//!   C NUMBER OUTCOME          its answer               R NUMBER AT KEY=…     its answer
//!                                                      S NUMBER AT START END KEY=…
//! ```

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mainstay_store::conformance::workload::{Note, OperationId, Plan, value};
use mainstay_store::history::{Action, History, Operation, Outcome};
use mainstay_store::{Commit, Entry, Key, KeyRange, Page, Store, Stored, Version};

/// The notes.
pub(crate) struct Events {
    file: File,
    path: std::path::PathBuf,
    next: AtomicU64,
}

/// How much was noted, in bytes.
pub(crate) fn length(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.len())
}

/// How many commits with these numbers were acknowledged in what was noted from byte `begin` on.
pub(crate) fn commits(path: &Path, begin: u64, numbers: &Range<u64>) -> u64 {
    let Ok(mut file) = File::open(path) else {
        return 0;
    };
    let mut text = String::new();
    file.seek(SeekFrom::Start(begin)).unwrap();
    file.read_to_string(&mut text).unwrap();
    let is_commit = |line: &&str| {
        let words: Vec<_> = line.split(' ').collect();
        let [_, number, _, "true" | "false", "."] = words[..] else {
            return false;
        };
        number.parse().is_ok_and(|number| numbers.contains(&number))
    };
    text.lines().filter(is_commit).count() as u64
}

impl Events {
    /// Notes of a process that nobody else writes beside: no line is shorter than a byte, so no number comes twice.
    pub(crate) fn open(path: &Path) -> Self {
        Self::open_from(path, length(path))
    }

    /// Notes whose numbers, from `first` on, no other process uses.
    pub(crate) fn open_from(path: &Path, first: u64) -> Self {
        let file = File::options().create(true).append(true).open(path).unwrap();
        Self {
            file,
            path: path.to_owned(),
            next: AtomicU64::new(first),
        }
    }

    /// Commits a plan and notes it.
    pub(crate) async fn commit(&self, store: &Arc<dyn Store>, id: OperationId, plan: &Plan) -> Outcome {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.note(&format!("c {number} {} {}", id.0, encode(plan)));
        let outcome = Outcome::of(&store.commit(plan.batch(id)).await);
        let told = match outcome {
            Outcome::Committed(commit) => format!("{} {}", commit.version, commit.replayed),
            Outcome::Conflict(position) => format!("conflict {position}"),
            Outcome::Refused => "refused".to_owned(),
            Outcome::Unknown => "unknown".to_owned(),
        };
        self.note(&format!("C {number} {told}"));
        outcome
    }

    fn note(&self, line: &str) {
        // One write, so that lines of several threads do not mix. A kill may cut it: then the full stop is missing, and the
        // next line still begins a line.
        (&self.file).write_all(format!("\n{line} .").as_bytes()).unwrap();
    }

    fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.path).unwrap();
        let whole = text.lines().filter_map(|line| line.strip_suffix(" ."));
        whole.map(str::to_owned).collect()
    }

    /// Commits whose outcome nobody knows yet.
    pub(crate) fn open_commits(&self) -> Vec<(OperationId, Plan)> {
        // Attempts that may have been committed; a refusal speaks for its own attempt alone, the others for all.
        let mut open: BTreeMap<u64, (Plan, u64)> = BTreeMap::new();
        let mut numbers = BTreeMap::new();
        for line in self.lines() {
            let words: Vec<_> = line.split(' ').collect();
            match words[0] {
                "c" => {
                    let id: u64 = words[2].parse().unwrap();
                    numbers.insert(words[1].to_owned(), id);
                    open.entry(id).or_insert((decode(&words[3..]), 0)).1 += 1;
                }
                "C" if words[2] == "refused" => {
                    if let Some((_, attempts)) = open.get_mut(&numbers[words[1]]) {
                        *attempts -= 1;
                    }
                }
                "C" if words[2] != "unknown" => {
                    open.remove(&numbers[words[1]]);
                }
                _ => {}
            }
        }
        let unknown = open.into_iter().filter(|(_, (_, attempts))| *attempts > 0);
        unknown.map(|(id, (plan, _))| (OperationId(id), plan)).collect()
    }

    /// All that was noted.
    pub(crate) fn history(&self) -> History {
        let mut begun = BTreeMap::new();
        let mut operations = Vec::new();
        for (time, line) in self.lines().iter().enumerate() {
            let words: Vec<_> = line.split(' ').collect();
            let number = words[1].to_owned();
            let time = time as u64 + 1;
            match words[0] {
                "c" => {
                    let batch = decode(&words[3..]).batch(OperationId(words[2].parse().unwrap()));
                    begun.insert(number, (time, Some(batch)));
                }
                "q" => {
                    begun.insert(number, (time, None));
                }
                kind => {
                    let Some((invoked, batch)) = begun.remove(&number) else {
                        panic!("an answer to nothing: {line}");
                    };
                    let action = match batch {
                        Some(batch) => Action::Commit {
                            batch,
                            outcome: outcome(&words[2..]),
                        },
                        None if kind == "R" => read(&words[2..]),
                        None => scan(&words[2..]),
                    };
                    operations.push(Operation {
                        invoked,
                        returned: time,
                        action,
                    });
                }
            }
        }
        // What was under way when the process was killed.
        for (invoked, batch) in begun.into_values() {
            if let Some(batch) = batch {
                operations.push(Operation {
                    invoked,
                    returned: u64::MAX,
                    action: Action::Commit {
                        batch,
                        outcome: Outcome::Unknown,
                    },
                });
            }
        }
        History::new(operations)
    }
}

impl Note for Events {
    type Begun = u64;

    fn begin(&self) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.note(&format!("q {number}"));
        number
    }

    fn end(&self, number: u64, action: Action) {
        match action {
            Action::Commit { .. } => panic!("commits are noted otherwise"),
            Action::Read { keys, read } => {
                let found = keys.iter().zip(&read.values).map(|(key, stored)| {
                    let stored = stored
                        .as_ref()
                        .map(|stored| (&stored.version, stored.value.as_ref()));
                    cell(key, stored)
                });
                let cells: String = found.collect();
                self.note(&format!("R {number} {}{cells}", read.at));
            }
            Action::Scan { page } => {
                let cells: String = page
                    .entries
                    .iter()
                    .map(|entry| cell(&entry.key, Some((&entry.version, entry.value.as_ref()))))
                    .collect();
                let start = hex(&page.covered.start);
                let end = page.covered.end.map_or("-".to_owned(), |end| hex(&end));
                self.note(&format!("S {number} {} {start} {end}{cells}", page.at));
            }
        }
    }
}

/// ` KEY=VERSION:ID`, or ` KEY=-` without a value. The value must be the one that the operation writes.
fn cell(key: &Key, stored: Option<(&Version, &[u8])>) -> String {
    let key = hex(key.as_ref());
    let Some((version, bytes)) = stored else {
        return format!(" {key}=-");
    };
    let id = bytes.split(|byte| *byte == b':').next().unwrap();
    let id: u64 = std::str::from_utf8(id).unwrap().parse().unwrap();
    assert_eq!(bytes, value(OperationId(id)).as_ref(), "{key} was changed");
    format!(" {key}={version}:{id}")
}

fn encode(plan: &Plan) -> String {
    let version = |version: &Option<Version>| version.map_or("-".to_owned(), |version| version.to_string());
    match plan {
        Plan::Put { register } => format!("put {register}"),
        Plan::Delete { register } => format!("delete {register}"),
        Plan::Transfer { from, to } => {
            format!(
                "transfer {} {} {} {}",
                from.0,
                version(&from.1),
                to.0,
                version(&to.1)
            )
        }
        Plan::Group {
            group,
            since,
            count,
            member,
            joins,
        } => format!("group {group} {since} {count} {member} {joins}"),
        Plan::Append { log, register } => format!("append {log} {register}"),
    }
}

fn decode(words: &[&str]) -> Plan {
    let number = |position: usize| words[position].parse().unwrap();
    let version = |position: usize| words[position].parse().ok().map(Version::from_u64);
    match words[0] {
        "put" => Plan::Put { register: number(1) },
        "delete" => Plan::Delete { register: number(1) },
        "transfer" => Plan::Transfer {
            from: (number(1), version(2)),
            to: (number(3), version(4)),
        },
        "group" => Plan::Group {
            group: number(1),
            since: Version::from_u64(number(2)),
            count: number(3),
            member: number(4),
            joins: words[5] == "true",
        },
        "append" => Plan::Append {
            log: number(1),
            register: number(2),
        },
        other => panic!("{other}"),
    }
}

fn outcome(words: &[&str]) -> Outcome {
    match words {
        ["conflict", position] => Outcome::Conflict(position.parse().unwrap()),
        ["refused"] => Outcome::Refused,
        ["unknown"] => Outcome::Unknown,
        [version, replayed] => Outcome::Committed(Commit {
            version: Version::from_u64(version.parse().unwrap()),
            replayed: *replayed == "true",
        }),
        other => panic!("{other:?}"),
    }
}

fn read(words: &[&str]) -> Action {
    let (keys, values) = words[1..].iter().map(|cell| parse_cell(cell)).unzip();
    Action::Read {
        keys,
        read: mainstay_store::Read {
            at: Version::from_u64(words[0].parse().unwrap()),
            values,
        },
    }
}

fn scan(words: &[&str]) -> Action {
    let entries = words[3..].iter().map(|cell| {
        let (key, stored) = parse_cell(cell);
        let stored = stored.unwrap();
        Entry {
            key,
            value: stored.value,
            version: stored.version,
        }
    });
    let range = KeyRange {
        start: unhex(words[1]).into(),
        end: (words[2] != "-").then(|| unhex(words[2]).into()),
    };
    Action::Scan {
        page: Page {
            at: Version::from_u64(words[0].parse().unwrap()),
            entries: entries.collect(),
            covered: range,
            rest: None,
        },
    }
}

fn parse_cell(cell: &str) -> (Key, Option<Stored>) {
    let (key, stored) = cell.split_once('=').unwrap();
    let stored = stored.split_once(':').map(|(version, id)| Stored {
        version: Version::from_u64(version.parse().unwrap()),
        value: value(OperationId(id.parse().unwrap())),
    });
    (Key::new(unhex(key)).unwrap(), stored)
}

/// Bytes as text without spaces; with an `x` in front, so that it is never empty.
fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
    std::iter::once("x".to_owned()).chain(digits).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes()[1..].chunks(2);
    digits
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}
