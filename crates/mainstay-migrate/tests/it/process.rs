//! A process of Mainstay: clients that use the store, and an operator who wants a migration.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;
use std::time::Duration;

use mainstay_base::{Rng as _, SplitMix64};
use mainstay_migrate::{
    CompareOptions, CopyOptions, Handle, Options, Phase, Settings, StartError, Status, Wish, start,
};
use mainstay_store::conformance::workload::{OperationId, Plan};
use mainstay_store::history::{Action, Outcome, Summary};
use mainstay_store::{Batch, Key, KeyRange, Scan, Store, Switch, Token, Value};

use crate::world::{World, place};

const PATIENCE: Duration = Duration::from_secs(600);

/// What the operator wants in the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Goal {
    /// Everything is in the target, and the migration is over.
    Finish,
    /// Everything stays in the source; changed their mind when it was ready.
    StayBefore,
    /// Everything stays in the source; changed their mind after the cut over.
    StayAfter,
}

/// Pages and ranges of few entries, so that everything happens several times.
pub(crate) fn settings() -> Settings {
    Settings {
        copy: CopyOptions {
            page_entries: 5,
            pages_in_flight: 2,
            round: Duration::ZERO,
        },
        compare: CompareOptions {
            range_entries: 5,
            ranges_in_flight: 2,
            stand: Duration::ZERO,
        },
    }
}

pub(crate) fn options(world: &World, named: &str) -> Options {
    let shared = Arc::new(world.clone());
    Options {
        settings: settings(),
        ..Options::new(place(named), shared.clone(), shared)
    }
}

/// Starts on the store that the manifest names, which the operator changes when told to.
pub(crate) async fn boot(
    world: &World,
    manifest: &mut String,
) -> (Switch, Handle, mainstay_migrate::Running) {
    for _ in 0..3 {
        match start(options(world, manifest)).await {
            Ok((switch, service)) => {
                let (handle, running) = service.spawn();
                return (switch, handle, running);
            }
            Err(StartError::Moved(record)) => manifest.clone_from(&record.target.reference),
            Err(StartError::NotMoved(record)) => manifest.clone_from(&record.source.reference),
            Err(error) => panic!("{error}"),
        }
    }
    panic!("no store is the right one");
}

pub(crate) async fn until(handle: &mut Handle, is_so: impl Fn(&Status) -> bool) -> Status {
    let found = tokio::time::timeout(PATIENCE, async {
        loop {
            if let Some(status) = handle.status().filter(&is_so) {
                return status;
            }
            assert!(handle.changed().await, "the service goes on");
        }
    });
    let found = found.await.ok();
    found.unwrap_or_else(|| panic!("it does not come to it: {:?}", handle.status()))
}

/// Some entries with and without tokens.
pub(crate) async fn fill(world: &World, name: &str) {
    let store = world.store(name);
    for number in 0..17_u32 {
        let mut batch = Batch::new();
        let key = Key::new(format!("filled/{number:02}")).unwrap();
        batch.put(key, Value::new(format!("{number}")).unwrap());
        batch.set_token(Token::new(format!("filled {number}")).unwrap());
        let outcome = world.commit(&store, batch).await;
        assert!(matches!(outcome, Outcome::Committed(_)));
    }
}

/// Lets others go first so many times. The runtime's own way waits for all that others do meanwhile.
async fn others_first(times: u64) {
    for _ in 0..times {
        let mut is_done = false;
        poll_fn(|context| {
            if is_done {
                return Poll::Ready(());
            }
            is_done = true;
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

/// How a client goes on.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// Between the steps of the migration, which take no time in a test.
    Now,
    /// After a while.
    Later,
}

/// One client; ends when it is told to, at the latest when it has done much.
pub(crate) async fn client(world: World, switch: Switch, seed: u64, pace: Pace, stop: Arc<AtomicBool>) {
    let mut random = SplitMix64::new(seed);
    for number in 0..1_000 {
        if stop.load(Ordering::Relaxed) {
            return;
        }
        let Some(plan) = plan(&world, &switch, &mut random).await else {
            continue;
        };
        let batch = plan.batch(OperationId(seed << 16 | number));
        let mut outcome = world.commit(&switch, batch.clone()).await;
        // Its token tells, once the store is back.
        while matches!(outcome, Outcome::Unknown | Outcome::Refused) {
            tokio::time::sleep(Duration::from_millis(20)).await;
            outcome = world.commit(&switch, batch.clone()).await;
        }
        match pace {
            Pace::Now => others_first(random.below(3)).await,
            Pace::Later => tokio::time::sleep(Duration::from_millis(random.below(20))).await,
        }
    }
}

/// What a client does next. Unlike the one of the store's own workload, it never waits for others to come to rest.
async fn plan(world: &World, switch: &Switch, random: &mut SplitMix64) -> Option<Plan> {
    let register = random.below(6);
    Some(match random.below(8) {
        0..=1 => Plan::Put { register },
        2 => Plan::Delete { register },
        3 => Plan::Append { log: 0, register },
        _ => {
            let other = (register + 1) % 6;
            let keys = [register, other].map(|number| Key::new(format!("register/{number}")).unwrap());
            let begun = world.recorder().invoke();
            let read = switch.read(&keys).await.ok()?;
            let versions: Vec<_> = read
                .values
                .iter()
                .map(|stored| stored.as_ref().map(|stored| stored.version))
                .collect();
            let keys = keys.to_vec();
            world.recorder().finish(begun, Action::Read { keys, read });
            Plan::Transfer {
                from: (register, versions[0]),
                to: (other, versions[1]),
            }
        }
    })
}

/// Asks for what brings it nearer to the goal, until it is reached.
pub(crate) async fn operate(handle: &mut Handle, goal: Goal) {
    loop {
        if handle.status().is_none() {
            handle.begin("b", None).await.unwrap();
        }
        let status = until(handle, |status| {
            matches!(status.phase, Phase::Ready | Phase::FollowingBack) || status.is_over
        })
        .await;
        assert_eq!(
            status.repaired_ranges.unwrap_or(0),
            0,
            "the copy was right at once"
        );
        let wish = match (status.phase, goal) {
            (Phase::Finished | Phase::BackedOut, _) => return,
            (Phase::Ready, Goal::StayBefore) | (Phase::FollowingBack, Goal::StayAfter | Goal::StayBefore) => {
                Wish::BackOut
            }
            (Phase::Ready, _) => Wish::CutOver,
            (_, Goal::Finish) => Wish::Finish,
            (phase, _) => panic!("{phase:?}"),
        };
        handle.wish(wish).await.unwrap();
        until(handle, |now| now.phase != status.phase).await;
    }
}

/// Looks at everything, and compares what is there with what everybody was told.
pub(crate) async fn check(world: &World, switch: &Switch, context: &str) -> Summary {
    let begun = world.recorder().invoke();
    let page = switch.scan(&Scan::new(KeyRange::all())).await.unwrap();
    world.recorder().finish(begun, Action::Scan { page });
    let summary = world.recorder().history().check();
    let summary = summary.unwrap_or_else(|violation| panic!("{context}: {violation}"));
    assert!(summary.commits >= 17, "{context}: {summary:?}");
    summary
}
