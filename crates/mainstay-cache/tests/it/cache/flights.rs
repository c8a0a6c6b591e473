//! Many callers, one load.

use super::*;

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
