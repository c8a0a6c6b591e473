//! Mainstay is killed at each of its steps. The next start goes on or goes back, nothing acknowledged is lost, and never do
//! two stores take commits.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use mainstay_store::Batch;

use crate::breaking::{Breaker, Moment};
use crate::process::{Goal, Pace, boot, check, client, fill, operate};
use crate::world::World;

/// How a process ended.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Reached,
    Killed,
}

/// Runs one process on a runtime of its own, which ends with it.
fn process(world: &World, manifest: &mut String, goal: Goal, number: u64, open: Vec<Batch>) -> End {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    let end = runtime.block_on(async {
        let work = async {
            let (switch, mut handle, _running) = boot(world, manifest).await;
            let primaries = world.primaries().await;
            assert!(
                primaries.len() <= 1,
                "{goal:?} {number}: {primaries:?} take commits"
            );
            // Their tokens tell what became of them, in whichever store.
            for batch in open {
                world.commit(&switch, batch).await;
            }
            let stop = Arc::new(AtomicBool::new(false));
            // With the first seed, nobody commits, so that nothing becomes durable by the way.
            let clients = (0..2 * world.seed().min(1)).map(|index| {
                let seed = 100 + 10 * number + index + 1_000 * world.seed();
                tokio::spawn(client(
                    world.clone(),
                    switch.clone(),
                    seed,
                    Pace::Now,
                    Arc::clone(&stop),
                ))
            });
            let clients: Vec<_> = clients.collect();
            operate(&mut handle, goal).await;
            stop.store(true, Ordering::Relaxed);
            for client in clients {
                client.await.unwrap();
            }
            let summary = check(world, &switch, &format!("{goal:?} {number}")).await;
            assert_eq!(
                summary.refused, 0,
                "{goal:?} {number}: nobody is told of a handover"
            );
        };
        tokio::select! {
            biased;
            () = world.breaker.broken() => End::Killed,
            () = work => End::Reached,
        }
    });
    drop(runtime);
    end
}

/// The whole story, killed at one call. Gives how many calls there were without a kill.
fn story(seed: u64, goal: Goal, call: u64, moment: Moment) -> u64 {
    let world = World::new(seed).with_breaker(Breaker::at(call), moment);
    let context = format!("seed {seed}, {goal:?}, killed {moment:?} call {call}");
    let plain = tokio::runtime::Builder::new_current_thread().build().unwrap();
    plain.block_on(fill(&world, "a"));
    let mut manifest = "a".to_owned();
    let mut present = world.clone();
    let mut calls = 0;
    let mut open = Vec::new();
    for number in 0.. {
        assert!(number < 3, "{context}: it is killed once");
        let end = process(&present, &mut manifest, goal, number, open);
        calls = present.breaker.calls();
        if end == End::Reached {
            break;
        }
        open = present.end_process();
        let primaries = plain.block_on(world.primaries());
        assert!(
            primaries.len() <= 1,
            "{context}: {primaries:?} at {:?}",
            world.stage()
        );
        present = world.with_breaker(Breaker::at(0), Moment::Before);
    }
    let expected = if goal == Goal::Finish { "b" } else { "a" };
    assert_eq!(plain.block_on(world.primaries()), [expected], "{context}");
    calls
}

fn every_call(goal: Goal) {
    for seed in 0..6 {
        let calls = story(seed, goal, 0, Moment::Before);
        assert!(calls > 25, "{calls} calls are too few to be everything");
        for call in 1..=calls {
            for moment in [Moment::Before, Moment::After] {
                story(seed, goal, call, moment);
            }
        }
    }
}

#[test]
fn a_migration_survives_a_kill_at_every_step() {
    every_call(Goal::Finish);
}

#[test]
fn backing_out_before_the_cut_over_survives_a_kill_at_every_step() {
    every_call(Goal::StayBefore);
}

#[test]
fn backing_out_after_the_cut_over_survives_a_kill_at_every_step() {
    every_call(Goal::StayAfter);
}
