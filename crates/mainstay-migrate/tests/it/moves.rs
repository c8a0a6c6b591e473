//! Migrations without a kill: what is compared, what stands in the way, what is refused.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use mainstay_migrate::{Handle, Phase, Refusal, Running, Side, StartError, Wish, start};
use mainstay_store::simulated::Step;
use mainstay_store::{Batch, Entry, Key, Portion, Replicated, Store, Switch, Value, Version};

use crate::process::{Goal, Pace, boot, check, client, fill, operate, options, until};
use crate::world::World;

async fn begun(world: &World) -> (Switch, Handle, Running) {
    fill(world, "a").await;
    let mut manifest = "a".to_owned();
    let (switch, handle, running) = boot(world, &mut manifest).await;
    handle.begin("b", None).await.unwrap();
    (switch, handle, running)
}

fn entry(name: &str, text: &str, version: Version) -> Portion {
    Portion {
        entries: vec![Entry {
            key: Key::new(name.to_owned()).unwrap(),
            value: Value::new(text.to_owned()).unwrap(),
            version,
        }],
        tokens: Vec::new(),
    }
}

fn put(name: &str) -> Batch {
    let mut batch = Batch::new();
    batch.put(Key::new(name.to_owned()).unwrap(), Value::new("v").unwrap());
    batch
}

async fn version_of(store: &dyn Store, name: &str) -> Option<Version> {
    let read = store.read(&[Key::new(name.to_owned()).unwrap()]).await.unwrap();
    read.values[0].as_ref().map(|stored| stored.version)
}

#[tokio::test(start_paused = true)]
async fn a_migration_tells_how_it_is() {
    let world = World::new(1);
    let (switch, mut handle, _running) = begun(&world).await;
    let ready = until(&mut handle, |status| status.phase == Phase::Ready).await;
    assert_eq!(
        (ready.source.as_str(), ready.target.as_str()),
        ("store a", "store b")
    );
    assert_eq!(
        (ready.serves, ready.keys, ready.keys_total),
        (Side::Source, 17, Some(17))
    );
    assert_eq!((ready.verified_ranges, ready.repaired_ranges), (Some(4), Some(0)));
    assert!(
        ready.copied_bytes > 17 * 9 && ready.problem.is_none(),
        "{ready:?}"
    );

    switch.commit(put("later")).await.unwrap();
    let caught_up = until(&mut handle, |status| status.lag_bytes == Some(0)).await;
    assert!(caught_up.lag_ms.is_some());
    handle.wish(Wish::CutOver).await.unwrap();
    let moved = until(&mut handle, |status| status.phase == Phase::FollowingBack).await;
    assert_eq!(moved.serves, Side::Target);
    assert!(moved.pause_ms.is_some());
    switch.commit(put("there")).await.unwrap();
    until(&mut handle, |status| status.lag_bytes == Some(0)).await;
    assert!(version_of(&world.store("b"), "there").await.is_some());
    handle.wish(Wish::Verify).await.unwrap();
    until(&mut handle, |status| status.verified_ranges.is_some()).await;
    // The old store has followed.
    assert_eq!(
        version_of(&world.store("a"), "there").await,
        version_of(&world.store("b"), "there").await
    );
    handle.wish(Wish::Finish).await.unwrap();
    let finished = until(&mut handle, |status| status.is_over).await;
    assert_eq!(finished.phase, Phase::Finished);
    assert_eq!(world.store("b").followers().await.unwrap(), []);
    // The next one goes on from there.
    handle.begin("c", None).await.unwrap();
    until(&mut handle, |status| {
        status.phase == Phase::Ready && status.target == "store c"
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_differs_is_copied_once_more_or_told() {
    let world = World::new(2);
    let (_switch, mut handle, _running) = begun(&world).await;
    until(&mut handle, |status| status.phase == Phase::Ready).await;
    let target = world.store("b");
    let version = version_of(&target, "filled/03").await.unwrap();
    // The same version with another value: nobody would notice without a checksum.
    target.copy(entry("filled/03", "bent", version)).await.unwrap();
    handle.wish(Wish::Verify).await.unwrap();
    let repaired = until(&mut handle, |status| status.repaired_ranges == Some(1)).await;
    assert_eq!(repaired.problem, None);
    let read = target.read(&[Key::new("filled/03").unwrap()]).await.unwrap();
    assert_eq!(read.values[0].as_ref().unwrap().value, Value::new("3").unwrap());
    until(&mut handle, |status| status.phase == Phase::Ready).await;

    // What should not be there cannot be mended by copying.
    target.copy(entry("filled/031", "extra", version)).await.unwrap();
    handle.wish(Wish::Verify).await.unwrap();
    let differs = until(&mut handle, |status| status.problem.is_some()).await;
    let problem = differs.problem.unwrap();
    assert!(
        !problem.is_retried && problem.message.contains("`filled/0"),
        "{problem:?}"
    );
    let refused = handle.wish(Wish::CutOver).await.unwrap_err();
    assert!(matches!(refused, Refusal::Untimely(_)), "{refused}");
    handle.wish(Wish::BackOut).await.unwrap();
    until(&mut handle, |status| status.phase == Phase::BackedOut).await;
    assert_eq!(world.primaries().await, ["a"]);
}

#[tokio::test(start_paused = true)]
async fn stores_that_break_down_are_waited_for() {
    for broken in ["a", "b"] {
        for round in 0..40 {
            let world = World::new(round);
            fill(&world, "a").await;
            let mut manifest = "a".to_owned();
            let (switch, mut handle, _running) = boot(&world, &mut manifest).await;
            // Now and then the store crashes at some step, and is back after a while.
            let store = world.store(broken);
            let crashing = tokio::spawn(async move {
                for crash in 0.. {
                    tokio::time::sleep(Duration::from_millis(40 + 17 * round)).await;
                    store.crash_at(Step::ALL[crash % Step::ALL.len()]);
                    tokio::time::sleep(Duration::from_millis(30)).await;
                    store.recover();
                }
            });
            let stop = Arc::new(AtomicBool::new(false));
            let clients = [100, 101].map(|seed| {
                let client = client(
                    world.clone(),
                    switch.clone(),
                    seed,
                    Pace::Later,
                    Arc::clone(&stop),
                );
                tokio::spawn(client)
            });
            handle.begin("b", None).await.unwrap();
            loop {
                until(&mut handle, |status| status.phase == Phase::Ready).await;
                handle.wish(Wish::CutOver).await.unwrap();
                let settled = until(&mut handle, |status| {
                    status.phase == Phase::FollowingBack
                        || status.problem.as_ref().is_some_and(|problem| !problem.is_retried)
                });
                if settled.await.phase == Phase::FollowingBack {
                    break;
                }
            }
            crashing.abort();
            stop.store(true, Ordering::Relaxed);
            world.store(broken).recover();
            for client in clients {
                client.await.unwrap();
            }
            operate(&mut handle, Goal::Finish).await;
            assert_eq!(world.primaries().await, ["b"], "{broken} {round}");
            check(&world, &switch, &format!("{broken} {round}")).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_follower_that_is_too_far_behind_begins_anew() {
    let world = World::new(3);
    let (switch, mut handle, _running) = begun(&world).await;
    until(&mut handle, |status| status.phase == Phase::Ready).await;
    world.store("b").crash();
    world.store("a").set_max_feed_bytes(30);
    for number in 0..20 {
        switch.commit(put(&format!("{number}"))).await.unwrap();
    }
    world.store("b").recover();
    let lost = until(&mut handle, |status| {
        status.problem.as_ref().is_some_and(|problem| !problem.is_retried)
    });
    assert!(lost.await.problem.unwrap().message.contains("too far behind"));
    world.store("a").set_max_feed_bytes(usize::MAX);
    handle.wish(Wish::BackOut).await.unwrap();
    until(&mut handle, |status| status.is_over).await;
    handle.begin("b", None).await.unwrap();
    until(&mut handle, |status| {
        status.phase == Phase::Ready && status.problem.is_none()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_is_refused_before_anything_is_done() {
    let world = World::new(4);
    fill(&world, "a").await;
    fill(&world, "full").await;
    let mut manifest = "a".to_owned();
    let (switch, handle, _running) = boot(&world, &mut manifest).await;
    for wish in [Wish::Verify, Wish::CutOver, Wish::BackOut, Wish::Finish] {
        assert_eq!(handle.wish(wish).await, Err(Refusal::NoMigration));
    }
    let refused = async |to: &str, from| handle.begin(to, from).await.unwrap_err().to_string();
    assert_eq!(refused("a", None).await, "what is stored is in store a already");
    assert!(refused("full", None).await.contains("holds data"));
    assert_eq!(refused("?", None).await, "`?` is no store");
    assert_eq!(refused("!gone", None).await, "store !gone is not there");
    assert!(
        refused("b", Some("c"))
            .await
            .contains("what is stored is in store a")
    );
    assert_eq!((world.stage(), handle.status()), (None, None));
    switch.commit(put("as before")).await.unwrap();

    handle.begin("b", None).await.unwrap();
    let twice = handle.begin("c", None).await.unwrap_err();
    assert!(matches!(twice, Refusal::UnderWay(..)), "{twice}");
    let early = handle.wish(Wish::Finish).await.unwrap_err();
    assert!(early.to_string().contains("nothing was cut over yet"), "{early}");
}

#[tokio::test(start_paused = true)]
async fn nothing_starts_on_a_store_that_was_handed_over() {
    let world = World::new(5);
    let (switch, mut handle, running) = begun(&world).await;
    operate(&mut handle, Goal::Finish).await;
    check(&world, &switch, "moved").await;
    running.stop().await;
    drop(switch);
    let moved = start(options(&world, "a")).await.map(drop).unwrap_err();
    assert!(matches!(moved, StartError::Moved(_)), "{moved}");
    // Also where the journal is not there any more.
    let bare = World::new(5);
    bare.store("a").demote().await.unwrap();
    let replica = start(options(&bare, "a")).await.map(drop).unwrap_err();
    assert!(matches!(replica, StartError::Replica(_)), "{replica}");
    let (switch, _service) = start(options(&world, "b")).await.unwrap();
    let store: Arc<dyn Store> = Arc::new(switch);
    store.commit(put("goes on")).await.unwrap();
}
