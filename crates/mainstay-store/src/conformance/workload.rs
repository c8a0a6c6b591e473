//! Random transactions by several clients, noted for the history checker.
//!
//! They are of the kinds that go wrong in weak stores: transfers between two registers, blind writes, deletes, appends,
//! and inserts under the condition that a range has not changed (write skew, phantoms).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use mainstay_base::{Rng, SplitMix64};

use super::key;
use crate::batch::{Batch, Condition, Token};
use crate::error::CommitError;
use crate::history::{Action, Outcome, Recorder};
use crate::key::{AppendPrefix, Key, KeyRange, Value};
use crate::port::{Commit, Scan, Store};
use crate::version::Version;

/// Names an operation; its values and its token are made from it, so none is written twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OperationId(pub u64);

/// A transaction with all that it relies on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Plan {
    /// A register gets a value, whatever it was.
    Put { register: u64 },
    /// A register goes.
    Delete { register: u64 },
    /// Two registers get values, if they are as they were read.
    Transfer {
        from: (u64, Option<Version>),
        to: (u64, Option<Version>),
    },
    /// A member joins a group, or leaves it, if the group is as it was read.
    Group {
        group: u64,
        since: Version,
        count: u64,
        member: u64,
        joins: bool,
    },
    /// An entry is appended to a log, and a register tells which.
    Append { log: u64, register: u64 },
}

const REGISTERS: u64 = 6;
const GROUPS: u64 = 2;
const MEMBERS: u64 = 4;
const LOGS: u64 = 2;

fn register(number: u64) -> Key {
    key(format!("register/{number}"))
}

fn group(number: u64) -> KeyRange {
    KeyRange::prefix(format!("group/{number}/"))
}

/// The value that an operation writes, and no other does. It begins with the number and a colon; its size varies from a few
/// bytes to 2 KiB.
pub fn value(id: OperationId) -> Value {
    let padding = SplitMix64::new(id.0).below(64).pow(2) / 2;
    let text = format!("{}:{}", id.0, ".".repeat(padding as usize));
    Value::new(text).expect("short")
}

impl Plan {
    /// The batch, which is always the same for the same plan and operation.
    pub fn batch(&self, id: OperationId) -> Batch {
        let mut batch = Batch::new();
        batch.set_token(Token::new(id.0.to_be_bytes().to_vec()).expect("short"));
        match self {
            Self::Put { register: number } => {
                batch.put(register(*number), value(id));
            }
            Self::Delete { register: number } => {
                batch.delete(register(*number));
            }
            Self::Transfer { from, to } => {
                for (number, version) in [from, to] {
                    batch.require_version(register(*number), *version);
                    batch.put(register(*number), value(id));
                }
            }
            Self::Group {
                group: number,
                since,
                count,
                member,
                joins,
            } => {
                batch.require(Condition::RangeUnchanged {
                    range: group(*number),
                    since: *since,
                    count: *count,
                });
                let key = key(format!("group/{number}/{member}"));
                if *joins {
                    batch.put(key, value(id));
                } else {
                    batch.delete(key);
                }
            }
            Self::Append {
                log,
                register: number,
            } => {
                let log = AppendPrefix::new(format!("log/{log}/")).expect("short");
                batch.append(log, value(id));
                batch.put(register(*number), value(id));
            }
        }
        batch
    }
}

/// One client: reads, decides, commits, one after another.
#[derive(Debug)]
pub struct Client {
    store: Arc<dyn Store>,
    rng: SplitMix64,
}

impl Client {
    /// A client that decides by `seed`.
    pub fn new(store: Arc<dyn Store>, seed: u64) -> Self {
        Self {
            store,
            rng: SplitMix64::new(seed),
        }
    }

    /// The next plan; what was read to make it is noted. Others go first once, so that some plans come too late.
    pub async fn plan(&mut self, note: &impl Note) -> Option<Plan> {
        let plan = self.decide(note).await;
        tokio::task::yield_now().await;
        plan
    }

    async fn decide(&mut self, note: &impl Note) -> Option<Plan> {
        match self.rng.below(10) {
            0..=1 => Some(Plan::Put {
                register: self.rng.below(REGISTERS),
            }),
            2 => Some(Plan::Delete {
                register: self.rng.below(REGISTERS),
            }),
            3..=5 => self.plan_transfer(note).await,
            6..=7 => self.plan_group(note).await,
            _ => Some(Plan::Append {
                log: self.rng.below(LOGS),
                register: self.rng.below(REGISTERS),
            }),
        }
    }

    async fn plan_transfer(&mut self, note: &impl Note) -> Option<Plan> {
        let from = self.rng.below(REGISTERS);
        let to = (from + 1 + self.rng.below(REGISTERS - 1)) % REGISTERS;
        let keys = vec![register(from), register(to)];
        let begun = note.begin();
        let read = self.store.read(&keys).await.ok()?;
        let versions: Vec<_> = read
            .values
            .iter()
            .map(|stored| stored.as_ref().map(|stored| stored.version))
            .collect();
        note.end(begun, Action::Read { keys, read });
        Some(Plan::Transfer {
            from: (from, versions[0]),
            to: (to, versions[1]),
        })
    }

    async fn plan_group(&mut self, note: &impl Note) -> Option<Plan> {
        let number = self.rng.below(GROUPS);
        let begun = note.begin();
        let page = self.store.scan(&Scan::new(group(number))).await.ok()?;
        let plan = Plan::Group {
            group: number,
            since: page.at,
            count: page.entries.len() as u64,
            member: self.rng.below(MEMBERS),
            joins: self.rng.below(3) > 0,
        };
        note.end(begun, Action::Scan { page });
        Some(plan)
    }

    /// Looks at everything.
    pub async fn look(&mut self, note: &impl Note) {
        let begun = note.begin();
        if let Ok(page) = self.store.scan(&Scan::new(KeyRange::all())).await {
            note.end(begun, Action::Scan { page });
        }
    }

    /// Whether it is time to look at everything.
    pub fn is_curious(&mut self) -> bool {
        self.rng.below(8) == 0
    }
}

/// Where reads are noted.
pub trait Note {
    /// What `begin` gives to `end`.
    type Begun;
    /// Before the call.
    fn begin(&self) -> Self::Begun;
    /// After the answer.
    fn end(&self, begun: Self::Begun, action: Action);
}

impl Note for Recorder {
    type Begun = crate::history::Invoked;

    fn begin(&self) -> Self::Begun {
        self.invoke()
    }

    fn end(&self, begun: Self::Begun, action: Action) {
        self.finish(begun, action);
    }
}

/// Runs clients side by side and notes what happens. Gives back the batches of which it is still not known whether they
/// were committed, because the store went away.
pub async fn run(
    store: &Arc<dyn Store>,
    recorder: &Arc<Recorder>,
    ids: &Arc<AtomicU64>,
    clients: u64,
    operations: u64,
) -> Vec<Batch> {
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..clients {
        let (store, recorder, ids) = (store.clone(), recorder.clone(), ids.clone());
        tasks.spawn(async move {
            let mut client = Client::new(store.clone(), ids.fetch_add(1, Ordering::Relaxed));
            let mut unknown = Vec::new();
            for _ in 0..operations {
                if client.is_curious() {
                    client.look(recorder.as_ref()).await;
                }
                let Some(plan) = client.plan(recorder.as_ref()).await else {
                    continue;
                };
                let batch = plan.batch(OperationId(ids.fetch_add(1, Ordering::Relaxed)));
                if !commit_until_known(&store, &recorder, &batch).await {
                    unknown.push(batch);
                }
            }
            unknown
        });
    }
    tasks.join_all().await.into_iter().flatten().collect()
}

/// Commits, and settles what was not told. Says whether it is known in the end.
pub async fn commit_until_known(store: &Arc<dyn Store>, recorder: &Recorder, batch: &Batch) -> bool {
    match attempt(store, recorder, batch).await {
        Err(CommitError::UnknownOutcome(_)) => settle(store, recorder, batch).await,
        _ => true,
    }
}

/// Finds out whether a batch was committed, by committing it again under its token. Says whether it found out.
pub async fn settle(store: &Arc<dyn Store>, recorder: &Recorder, batch: &Batch) -> bool {
    const PATIENCE: usize = 20;
    for _ in 0..PATIENCE {
        // Any other error only tells that this attempt wrote nothing.
        if let Ok(_) | Err(CommitError::Conflict(_)) = attempt(store, recorder, batch).await {
            return true;
        }
    }
    false
}

async fn attempt(store: &Arc<dyn Store>, recorder: &Recorder, batch: &Batch) -> Result<Commit, CommitError> {
    let begun = recorder.invoke();
    let answer = store.commit(batch.clone()).await;
    let action = Action::Commit {
        batch: batch.clone(),
        outcome: Outcome::of(&answer),
    };
    recorder.finish(begun, action);
    answer
}
