//! The cache on a store in this process, with a clock that is moved by hand.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use mainstay_base::{CacheStatus, Reply};
use mainstay_cache::{
    Answer, CacheError, CacheStore, Entry, Fence, Loaded, Local, Lookup, Selection, StoreError, Usage,
};
use tokio::sync::oneshot;

use crate::local::local;
use crate::support::{Gate, NEGATIVE, Outcome, PATIENCE, STALE, TTL, World, found, settings, until, value};

const ANSWERS: &str = "mainstay_cache_answers_total";
const LOADS: &str = "mainstay_cache_loads_total";

/// Past the last moment at which a refresh becomes due.
const DUE: Duration = Duration::from_secs(95);
const SECOND: Duration = Duration::from_secs(1);

/// A value, from a loader that has none for one caller alone.
fn shared(text: &'static str) -> Result<Loaded<Bytes>, &'static str> {
    found(text)
}

#[tokio::test]
async fn what_was_loaded_is_given_again() {
    let world = World::new();
    let first = world.get("a", found("1")).await.unwrap().shared();
    assert_eq!((first.value, first.status), (Bytes::from("1"), CacheStatus::Miss));
    world.pass(10 * SECOND);
    let second = world.cached("a").await;
    assert_eq!(
        (second.value, second.status),
        (Bytes::from("1"), CacheStatus::Hit)
    );
    assert_eq!(second.age, 10 * SECOND);
    assert_eq!(value(world.get("b", found("2")).await), "2");
    assert_eq!(world.metric(ANSWERS, Some("hit")), 1);
    assert_eq!(world.metric(ANSWERS, Some("miss")), 2);
    assert_eq!(world.metric(LOADS, Some("miss")), 2);
    assert_eq!(world.metric("mainstay_cache_answer_age_seconds", None), 1);
    assert_eq!(world.metric("mainstay_cache_entries", None), 2);
}

#[tokio::test]
async fn an_expired_value_is_loaded_again() {
    let world = World::new();
    value(world.get("a", found("1")).await);
    world.pass(TTL);
    assert_eq!(value(world.get("a", found("2")).await), "2");
    assert_eq!(world.cached("a").await.age, Duration::ZERO);
}

#[tokio::test]
async fn an_absent_value_is_kept_for_a_shorter_time() {
    let world = World::new();
    let absent = || Ok(Loaded::Value(Bytes::new(), settings().absent()));
    value(world.get("a", absent()).await);
    world.pass(NEGATIVE / 2);
    assert_eq!(world.cached("a").await.value, "");
    world.pass(NEGATIVE / 2);
    // And is not given when it cannot be loaded.
    assert_eq!(world.get("a", Err("gone")).await, Err(CacheError::Load("gone")));
}

#[tokio::test]
async fn a_value_counts_as_old_as_its_question() {
    let world = World::new();
    let gate = Gate::closed();
    let loader = world.loader(&gate, found("1"));
    let cache = world.cache.clone();
    let asking = tokio::spawn(async move { cache.get_or_load("a", loader).await });
    until(|| world.loads() == 1).await;
    world.pass(SECOND);
    gate.let_through(1);
    assert_eq!(value(asking.await.unwrap()), "1");
    assert_eq!(world.cached("a").await.age, SECOND);
}

/// Starts `count` callers of the key `a`, and waits until one of them loads.
async fn callers(
    world: &World,
    count: usize,
    gate: &Gate,
    loaded: &Result<Loaded<Bytes>, &'static str>,
) -> Vec<tokio::task::JoinHandle<Outcome>> {
    let mut callers = Vec::new();
    for _ in 0..count {
        let (cache, loader) = (world.cache.clone(), world.loader(gate, loaded.clone()));
        callers.push(tokio::spawn(async move { cache.get_or_load("a", loader).await }));
    }
    until(|| world.loads() >= 1).await;
    // Every caller has come as far as it can: tasks run in the order in which they were woken.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    callers
}

#[tokio::test]
async fn many_callers_make_one_load() {
    let (world, gate) = (World::new(), Gate::closed());
    let callers = callers(&world, 100, &gate, &found("1")).await;
    gate.let_through(100);
    for caller in callers {
        assert_eq!(value(caller.await.unwrap()), "1");
    }
    assert_eq!(world.loads(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_callers_on_many_threads_make_one_load() {
    for _ in 0..200 {
        let (world, gate) = (World::new(), Gate::open());
        let callers = callers(&world, 20, &gate, &found("1")).await;
        for caller in callers {
            assert_eq!(value(caller.await.unwrap()), "1");
        }
        assert_eq!(world.loads(), 1);
    }
}

/// A store whose next look waits, with its answer in hand.
#[derive(Debug)]
struct Slow {
    store: Local<Bytes>,
    gate: Mutex<Option<oneshot::Receiver<()>>>,
}

impl CacheStore<Bytes> for Slow {
    fn get<'a>(&'a self, key: &'a str) -> Reply<'a, Lookup<Bytes>> {
        let Some(gate) = self.gate.lock().unwrap().take() else {
            return self.store.get(key);
        };
        Reply::waiting(async move {
            let lookup = self.store.get(key).await;
            gate.await.unwrap();
            lookup
        })
    }

    fn put<'a>(
        &'a self,
        key: &'a str,
        entry: Entry<Bytes>,
        fence: Fence,
    ) -> Reply<'a, Result<bool, StoreError>> {
        self.store.put(key, entry, fence)
    }

    fn invalidate<'a>(&'a self, selection: &'a Selection) -> Reply<'a, Result<(), StoreError>> {
        self.store.invalidate(selection)
    }

    fn usage(&self) -> Option<Usage> {
        self.store.usage()
    }
}

/// A caller that found nothing may come to load when another one has already done so.
#[tokio::test]
async fn a_late_caller_makes_no_second_load() {
    let (open, gate) = oneshot::channel();
    let world = World::with(|options| {
        options.store = Arc::new(Slow {
            store: local(1 << 20, Arc::default()),
            gate: Mutex::new(Some(gate)),
        });
    });
    let late = tokio::spawn({
        let (cache, loader) = (world.cache.clone(), world.loader(&Gate::open(), shared("late")));
        async move { cache.get_or_load("a", loader).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(value(world.get("a", found("1")).await), "1");
    open.send(()).unwrap();
    let late = late.await.unwrap().unwrap().shared();
    assert_eq!((late.value, late.status), (Bytes::from("1"), CacheStatus::Hit));
    assert_eq!(world.loads(), 1);
}

#[tokio::test]
async fn an_error_is_shared_but_not_kept() {
    let (world, gate) = (World::new(), Gate::closed());
    let callers = callers(&world, 10, &gate, &Err("down")).await;
    gate.let_through(10);
    for caller in callers {
        assert_eq!(caller.await.unwrap(), Err(CacheError::Load("down")));
    }
    assert_eq!(world.loads(), 1);
    assert_eq!(value(world.get("a", found("1")).await), "1");
    assert_eq!(world.metric("mainstay_cache_load_failures_total", None), 1);
}

#[tokio::test]
async fn a_caller_that_goes_away_strands_nobody() {
    let (world, gate) = (World::new(), Gate::closed());
    let mut callers = callers(&world, 3, &gate, &found("1")).await;
    for caller in callers.drain(..2) {
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
    }
    gate.let_through(1);
    for caller in callers {
        assert_eq!(value(caller.await.unwrap()), "1");
    }
    assert_eq!(world.loads(), 1);
}

#[tokio::test]
async fn loads_that_outlive_their_callers_are_bounded() {
    let world = World::with(|options| options.max_loads = 1);
    let (never, gate) = (Gate::closed(), Gate::closed());
    let start = |key: &'static str, gate: &Gate| {
        let (cache, loader) = (world.cache.clone(), world.loader(gate, shared("1")));
        tokio::spawn(async move { cache.get_or_load(key, loader).await })
    };
    let outlives = start("other", &never);
    until(|| world.loads() == 1).await;
    outlives.abort();
    let (first, second) = (start("a", &gate), start("a", &gate));
    until(|| world.loads() == 2).await;
    // The second one takes over when the first one goes away.
    first.abort();
    until(|| world.loads() == 3).await;
    gate.let_through(1);
    assert_eq!(value(second.await.unwrap()), "1");
}

#[tokio::test]
async fn a_load_runs_on_when_all_callers_go_away() {
    let (world, gate) = (World::new(), Gate::closed());
    for caller in callers(&world, 3, &gate, &found("1")).await {
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
    }
    gate.let_through(1);
    world.cache.shutdown().await;
    assert_eq!(world.cached("a").await.value, "1");
}

#[tokio::test]
async fn when_the_runtime_of_a_load_ends_another_caller_takes_over() {
    let (world, never) = (World::new(), Gate::closed());
    let (cache, loader) = (world.cache.clone(), world.loader(&never, shared("never")));
    let (end, ended) = oneshot::channel::<()>();
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.spawn(async move { cache.get_or_load("a", loader).await });
        let _ = runtime.block_on(ended);
    });
    until(|| world.loads() == 1).await;
    let waiting = tokio::spawn({
        let (cache, loader) = (world.cache.clone(), world.loader(&Gate::open(), found("1")));
        async move { cache.get_or_load("a", loader).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(world.loads(), 1);
    end.send(()).unwrap();
    assert_eq!(value(waiting.await.unwrap()), "1");
    assert_eq!(world.loads(), 2);
    thread.join().unwrap();
}

#[tokio::test]
async fn a_loader_that_panics_fails_its_own_caller_alone() {
    let (world, gate) = (World::new(), Gate::closed());
    let panics = {
        let (cache, gate) = (world.cache.clone(), gate.clone());
        let loader = world.loader(&gate, shared("1"));
        let loader = move || async move {
            let _ = loader().await;
            panic!("a defect");
        };
        tokio::spawn(async move { cache.get_or_load("a", loader).await })
    };
    until(|| world.loads() == 1).await;
    let others = callers(&world, 5, &gate, &found("1")).await;
    gate.let_through(10);
    let broken: Outcome = panics.await.unwrap();
    assert_eq!(broken, Err(CacheError::Interrupted));
    for other in others {
        assert_eq!(value(other.await.unwrap()), "1");
    }
    assert_eq!(world.loads(), 2);
}

#[tokio::test]
async fn what_is_stale_is_better_than_an_error() {
    let world = World::new();
    value(world.get("a", found("1")).await);
    world.pass(TTL);
    let stale = world.get("a", Err("down")).await.unwrap().shared();
    assert_eq!(
        (stale.value, stale.status, stale.age),
        (Bytes::from("1"), CacheStatus::Stale, TTL)
    );
    assert_eq!(world.metric(ANSWERS, Some("stale")), 1);
    world.pass(STALE);
    assert_eq!(world.get("a", Err("down")).await, Err(CacheError::Load("down")));
}

#[tokio::test]
async fn what_is_stale_is_better_than_an_answer_that_tells_of_a_failure() {
    let world = World::new();
    let failure = || Ok(Loaded::Failure(Bytes::from("503")));
    assert_eq!(value(world.get("a", failure()).await), "503");
    assert_eq!(value(world.get("a", found("1")).await), "1");
    world.pass(TTL);
    let stale = world.get("a", failure()).await.unwrap().shared();
    assert_eq!(
        (stale.value, stale.status),
        (Bytes::from("1"), CacheStatus::Stale)
    );
}

#[tokio::test]
async fn callers_do_not_wait_for_a_callee_that_just_failed() {
    let world = World::new();
    value(world.get("a", found("1")).await);
    world.pass(TTL);
    value(world.get("a", Err("down")).await);
    // For a second nobody tries.
    assert_eq!(world.cached("a").await.status, CacheStatus::Stale);
    world.pass(SECOND);
    // Then one attempt is made, for which nobody waits.
    let gate = Gate::closed();
    for _ in 0..3 {
        let outcome = world
            .cache
            .get_or_load("a", world.loader(&gate, found("2")))
            .await;
        assert_eq!(outcome.unwrap().shared().status, CacheStatus::Stale);
    }
    until(|| world.loads() == 3).await;
    gate.let_through(1);
    world.cache.shutdown().await;
    let healed = world.cached("a").await;
    assert_eq!(
        (healed.value, healed.status),
        (Bytes::from("2"), CacheStatus::Hit)
    );
}

#[tokio::test(start_paused = true)]
async fn a_load_that_takes_too_long_has_failed() {
    let world = World::new();
    let never = Gate::closed();
    let outcome = world
        .cache
        .get_or_load("a", world.loader(&never, shared("1")))
        .await;
    assert_eq!(outcome, Err(CacheError::Timeout(PATIENCE)));
    value(world.get("a", found("1")).await);
    world.pass(TTL);
    let outcome = world
        .cache
        .get_or_load("a", world.loader(&never, found("2")))
        .await;
    assert_eq!(outcome.unwrap().shared().status, CacheStatus::Stale);
}

#[tokio::test]
async fn a_value_is_refreshed_before_it_expires() {
    let (world, gate) = (World::new(), Gate::closed());
    value(world.get("a", found("1")).await);
    world.pass(DUE);
    let ask = || world.cache.get_or_load("a", world.loader(&gate, found("2")));
    let first = ask().await.unwrap().shared();
    assert_eq!(
        (first.value, first.status, first.age),
        (Bytes::from("1"), CacheStatus::Refresh, DUE)
    );
    // The others do not refresh it too.
    assert_eq!(ask().await.unwrap().shared().status, CacheStatus::Hit);
    until(|| world.loads() == 2).await;
    gate.let_through(1);
    until(|| world.metric("mainstay_cache_loads_total", Some("refresh")) == 1).await;
    world.cache.shutdown().await;
    let refreshed = world.cached("a").await;
    assert_eq!(
        (refreshed.value, refreshed.status),
        (Bytes::from("2"), CacheStatus::Hit)
    );
    assert_eq!(world.loads(), 2);
}

#[tokio::test]
async fn a_refresh_that_fails_costs_nothing() {
    let world = World::new();
    value(world.get("a", found("1")).await);
    world.pass(DUE);
    let first = world.get("a", Err("down")).await.unwrap().shared();
    assert_eq!(
        (first.value, first.status),
        (Bytes::from("1"), CacheStatus::Refresh)
    );
    until(|| world.metric("mainstay_cache_load_failures_total", None) == 1).await;
    // And is not tried again at once.
    assert_eq!(world.cached("a").await.status, CacheStatus::Hit);
}

#[tokio::test]
async fn refreshes_are_bounded() {
    let (world, gate) = (World::new(), Gate::closed());
    for key in ["a", "b", "c"] {
        value(world.get(key, found("1")).await);
    }
    world.pass(DUE);
    let mut statuses = Vec::new();
    for key in ["a", "b", "c"] {
        let outcome = world
            .cache
            .get_or_load(key, world.loader(&gate, found("2")))
            .await;
        statuses.push(outcome.unwrap().shared().status);
    }
    assert_eq!(
        statuses,
        [CacheStatus::Refresh, CacheStatus::Refresh, CacheStatus::Hit]
    );
}

#[tokio::test]
async fn who_comes_after_the_expiry_waits_for_a_refresh_under_way() {
    let (world, gate) = (World::new(), Gate::closed());
    value(world.get("a", found("1")).await);
    world.pass(DUE);
    let outcome = world
        .cache
        .get_or_load("a", world.loader(&gate, found("2")))
        .await;
    assert_eq!(outcome.unwrap().shared().status, CacheStatus::Refresh);
    until(|| world.loads() == 2).await;
    world.pass(TTL);
    let late = callers(&world, 2, &gate, &found("3")).await;
    gate.let_through(1);
    for caller in late {
        assert_eq!(value(caller.await.unwrap()), "2");
    }
    assert_eq!(world.loads(), 2);
}

#[tokio::test]
async fn an_end_breaks_off_refreshes_and_lets_who_waits_take_over() {
    let (world, never) = (World::new(), Gate::closed());
    value(world.get("a", found("1")).await);
    world.pass(DUE);
    let outcome = world
        .cache
        .get_or_load("a", world.loader(&never, found("never")))
        .await;
    assert_eq!(outcome.unwrap().shared().status, CacheStatus::Refresh);
    until(|| world.loads() == 2).await;
    world.pass(TTL);
    let waiting = tokio::spawn({
        let (cache, loader) = (world.cache.clone(), world.loader(&Gate::open(), found("2")));
        async move { cache.get_or_load("a", loader).await }
    });
    tokio::task::yield_now().await;
    world.cache.shutdown().await;
    assert_eq!(value(waiting.await.unwrap()), "2");
    // Nothing is refreshed any more.
    world.pass(DUE);
    assert_eq!(world.cached("a").await.status, CacheStatus::Hit);
}

#[tokio::test]
async fn a_cache_that_nobody_has_refreshes_nothing() {
    let (world, never) = (World::new(), Gate::closed());
    value(world.get("a", found("1")).await);
    world.pass(DUE);
    let (alive, ended) = oneshot::channel::<()>();
    let loader = world.loader(&never, shared("never"));
    let loader = move || async move {
        let _alive = alive;
        loader().await
    };
    let outcome = world.cache.get_or_load("a", loader).await;
    assert_eq!(outcome.unwrap().shared().status, CacheStatus::Refresh);
    until(|| world.loads() == 2).await;
    drop(world);
    let broken_off = tokio::time::timeout(PATIENCE, ended).await;
    assert!(broken_off.expect("it runs on").is_err());
}

/// An answer for one caller alone.
type Private = &'static str;

#[expect(clippy::unnecessary_wraps, reason = "as a loader gives it")]
fn private(text: Private) -> Result<Loaded<Bytes, Private>, &'static str> {
    Ok(Loaded::Private(text))
}

#[tokio::test]
async fn a_private_answer_goes_to_nobody_else() {
    let (world, gate) = (World::new(), Gate::closed());
    let mut callers = Vec::new();
    for text in ["1", "2", "3"] {
        let (cache, loader) = (world.cache.clone(), world.loader(&gate, private(text)));
        callers.push(tokio::spawn(async move { cache.get_or_load("a", loader).await }));
    }
    until(|| world.loads() == 1).await;
    gate.let_through(1);
    // The others learn that it is not for them, and do not wait for each other.
    until(|| world.loads() == 3).await;
    gate.let_through(2);
    for (caller, text) in callers.into_iter().zip(["1", "2", "3"]) {
        assert_eq!(caller.await.unwrap(), Ok(Answer::Private(text)));
    }
    assert_eq!(world.metric(ANSWERS, Some("private")), 3);
}

#[tokio::test]
async fn callers_of_private_answers_do_not_wait_for_each_other() {
    let (world, gate) = (World::new(), Gate::closed());
    let first: Outcome<Private> = {
        let loader = world.loader(&Gate::open(), private("0"));
        world.cache.get_or_load("a", loader).await
    };
    assert_eq!(first, Ok(Answer::Private("0")));
    let mut callers = Vec::new();
    for text in ["1", "2"] {
        let (cache, loader) = (world.cache.clone(), world.loader(&gate, private(text)));
        callers.push(tokio::spawn(async move { cache.get_or_load("a", loader).await }));
    }
    until(|| world.loads() == 3).await;
    gate.let_through(2);
    for caller in callers {
        assert!(matches!(caller.await.unwrap(), Ok(Answer::Private(_))));
    }
    // When the answer is for everybody again, it is kept again.
    assert_eq!(value(world.get("a", found("1")).await), "1");
    assert_eq!(world.cached("a").await.value, "1");
}

#[tokio::test]
async fn a_reload_loads_what_is_fresh() {
    let world = World::new();
    value(world.get("a", found("1")).await);
    let reload = |loaded| world.cache.reload("a", world.loader(&Gate::open(), loaded));
    let reloaded = reload(found("2")).await.unwrap().shared();
    assert_eq!(
        (reloaded.value, reloaded.status),
        (Bytes::from("2"), CacheStatus::Miss)
    );
    assert_eq!(world.cached("a").await.value, "2");
    // What is there is better than an error.
    assert_eq!(value(reload(Err("down")).await), "2");
    assert_eq!(world.metric(LOADS, Some("reload")), 2);
}

#[tokio::test]
async fn an_invalidation_during_a_load_keeps_the_old_value_out() {
    let (world, gate) = (World::new(), Gate::closed());
    let early = callers(&world, 2, &gate, &found("old")).await;
    world
        .cache
        .invalidate(Selection::Key("a".to_owned()))
        .await
        .unwrap();
    // Who asks after the invalidation does not get what was loaded before it.
    let late = tokio::spawn({
        let (cache, loader) = (world.cache.clone(), world.loader(&gate, found("new")));
        async move { cache.get_or_load("a", loader).await }
    });
    until(|| world.loads() == 2).await;
    gate.let_through(2);
    assert_eq!(value(late.await.unwrap()), "new");
    for caller in early {
        assert_eq!(value(caller.await.unwrap()), "old");
    }
    assert_eq!(world.cached("a").await.value, "new");
    assert_eq!(world.metric("mainstay_cache_discarded_loads_total", None), 1);
}

#[tokio::test]
async fn what_is_invalidated_is_gone_stale_or_not() {
    let world = World::new();
    for selection in [
        Selection::Key("a".to_owned()),
        Selection::Prefix("a".to_owned()),
        Selection::All,
    ] {
        value(world.get("a", found("1")).await);
        world.pass(TTL);
        world.cache.invalidate(selection).await.unwrap();
        assert_eq!(world.get("a", Err("down")).await, Err(CacheError::Load("down")));
    }
    assert_eq!(world.metric("mainstay_cache_invalidations_total", None), 3);
}

#[tokio::test]
async fn an_invalidation_goes_on_when_its_caller_goes_away() {
    let world = World::new();
    value(world.get("a", found("1")).await);
    let begun = world.cache.invalidate(Selection::All).now_or_never();
    assert_eq!(begun, None);
    world.cache.shutdown().await;
    assert_eq!(world.get("a", Err("gone")).await, Err(CacheError::Load("gone")));
}

#[tokio::test]
async fn what_a_hit_carries_is_small() {
    let world = World::new();
    let large = Arc::new([0_u8; 64]);
    let loader = move || async move {
        let _ = &large;
        found::<std::convert::Infallible>("1")
    };
    let asking = world.cache.get_or_load("a", loader);
    assert!(size_of_val(&asking) <= 512, "{}", size_of_val(&asking));
    value(asking.await);
}
