use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use mainstay_base::{Priority, Timestamp};
use tower::{Layer, Service, ServiceExt, service_fn};

use super::*;
use crate::breaker::{BreakerPolicy, BreakerState, Trip};
use crate::budget::BudgetPolicy;
use crate::ejection::EjectionPolicy;
use crate::gate::QueuePolicy;
use crate::hedge::HedgePolicy;
use crate::limiter::LimitPolicy;
use crate::retry::{Backoff, RetryOn, RetryPolicy};
use crate::{EdgePolicy, TargetPolicy};

/// Tokio's paused time.
#[derive(Clone)]
struct Paused(tokio::time::Instant);

impl Paused {
    fn new() -> Self {
        Self(tokio::time::Instant::now())
    }
}

impl Clock for Paused {
    fn now(&self) -> Timestamp {
        Timestamp::ZERO + self.0.elapsed()
    }
}

impl Timer for Paused {
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        tokio::time::sleep(duration)
    }
}

const MS: Duration = Duration::from_millis(1);

fn edge() -> EdgePolicy {
    EdgePolicy {
        attempt_timeout: 100 * MS,
        call_timeout: 1000 * MS,
        slow_after: 50 * MS,
        retry: RetryPolicy {
            max_retries: 2,
            backoff: Backoff::Constant(10 * MS),
            min_left: 50 * MS,
            retry_on: RetryOn::Failures,
        },
        budget: BudgetPolicy {
            ratio: 0.2,
            min_per_second: 10.0,
            window: 10_000 * MS,
        },
        breaker: BreakerPolicy {
            trip: Trip::FailureRatio {
                min_calls: 20,
                ratio: 0.5,
            },
            window: 10_000 * MS,
            open_min: 1000 * MS,
            open_max: 30_000 * MS,
            ramp: 10_000 * MS,
        },
        hedge: None,
    }
}

fn target() -> TargetPolicy {
    TargetPolicy {
        limit: LimitPolicy {
            initial: 2,
            min: 1,
            max: 2,
            latency: 50 * MS,
        },
        queue: QueuePolicy {
            max_waiting: 1,
            target: 5 * MS,
            interval: 100 * MS,
        },
        ejection: EjectionPolicy {
            consecutive_failures: 5,
            min_success_ratio: 0.8,
            min_calls: 20,
            window: 10_000 * MS,
            eject_min: 5_000 * MS,
            eject_max: 300_000 * MS,
        },
        drain: 100 * MS,
    }
}

/// A service that counts its calls; call number `n` is answered by `answer(n)` after the time it gives.
fn counted(
    answer: impl Fn(u32) -> (Duration, Result<u32, &'static str>) + Clone + Send + 'static,
) -> (
    Arc<AtomicU32>,
    impl Service<u32, Response = u32, Error = BoxError, Future: Send> + Clone + Send + 'static,
) {
    let calls = Arc::new(AtomicU32::new(0));
    let counter = calls.clone();
    let service = service_fn(move |_request: u32| {
        let (time, result) = answer(counter.fetch_add(1, Ordering::Relaxed) + 1);
        async move {
            tokio::time::sleep(time).await;
            result.map_err(BoxError::from)
        }
    });
    (calls, service)
}

async fn call<S: Service<u32, Response = u32, Error = BoxError>>(service: &mut S) -> Result<u32, BoxError> {
    service.ready().await?.call(0).await
}

#[tokio::test(start_paused = true)]
async fn an_attempt_is_bounded() {
    let (_, inner) = counted(|_| (1000 * MS, Ok(1)));
    let mut service = TimeoutLayer::new(100 * MS, Paused::new()).layer(inner);
    let error = call(&mut service).await.unwrap_err();
    assert_eq!(error.downcast_ref(), Some(&TimedOut { limit: 100 * MS }));
}

#[tokio::test(start_paused = true)]
async fn retries_until_it_is_good_or_the_budget_is_spent() {
    let (calls, inner) = counted(|number| (MS, if number == 3 { Ok(3) } else { Err("not yet") }));
    let timer = Paused::new();
    let layer = RetryLayer::new(
        edge().retry,
        &edge().budget,
        1000 * MS,
        timer.clone(),
        errors_fail,
    );
    assert_eq!(call(&mut layer.layer(inner)).await.unwrap(), 3);
    assert_eq!(calls.load(Ordering::Relaxed), 3);

    let spent = BudgetPolicy {
        ratio: 0.0,
        min_per_second: 0.0,
        ..edge().budget
    };
    let (calls, inner) = counted(|_| (MS, Err("never")));
    let layer = RetryLayer::new(edge().retry, &spent, 1000 * MS, timer, errors_fail);
    assert_eq!(
        call(&mut layer.layer(inner)).await.unwrap_err().to_string(),
        "never"
    );
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn the_breaker_opens_and_comes_back() {
    let (calls, inner) = counted(|number| (MS, if number <= 20 { Err("down") } else { Ok(number) }));
    let layer = BreakerLayer::new(edge().breaker, 50 * MS, Paused::new(), errors_fail);
    let mut service = layer.layer(inner);
    for _ in 0..20 {
        call(&mut service).await.unwrap_err();
    }
    assert_eq!(layer.state(), BreakerState::Open);
    assert!(call(&mut service).await.unwrap_err().is::<BreakerOpen>());
    assert_eq!(calls.load(Ordering::Relaxed), 20, "an open breaker asks nobody");
    tokio::time::sleep(1000 * MS).await;
    call(&mut service).await.unwrap();
    assert_eq!(layer.state(), BreakerState::Ramping);
}

#[tokio::test(start_paused = true)]
async fn too_many_calls_are_turned_away() {
    let (calls, inner) = counted(|number| (20 * MS, Ok(number)));
    let TargetPolicy { limit, queue, .. } = target();
    let layer = LimitLayer::new(limit, queue, 1000 * MS, Paused::new(), errors_fail, |_: &u32| {
        Priority::Normal
    });
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let mut service = layer.layer(inner.clone());
            tokio::spawn(async move { call(&mut service).await })
        })
        .collect();
    let mut shed = 0;
    for task in tasks {
        shed += u32::from(task.await.unwrap().is_err_and(|error| error.is::<Shed>()));
    }
    assert!(shed >= 3, "two run, one waits: {shed}");
    assert_eq!(calls.load(Ordering::Relaxed), 6 - shed);
}

#[tokio::test(start_paused = true)]
async fn a_fallback_answers() {
    let (_, inner) = counted(|_| (MS, Err("down")));
    let mut service = FallbackLayer::new(|_error: BoxError| Ok(42)).layer(inner);
    assert_eq!(call(&mut service).await.unwrap(), 42);
}

#[tokio::test(start_paused = true)]
async fn a_hedge_overtakes_a_slow_attempt() {
    let (calls, inner) = counted(|number| (if number == 21 { 10_000 * MS } else { MS }, Ok(number)));
    let policy = HedgePolicy {
        ratio: 0.05,
        min_delay: 5 * MS,
    };
    let mut service = HedgeLayer::new(&policy, 10 * MS, Paused::new()).layer(inner);
    let began = tokio::time::Instant::now();
    for _ in 0..21 {
        call(&mut service).await.unwrap();
    }
    assert_eq!(calls.load(Ordering::Relaxed), 22);
    assert!(began.elapsed() < 1000 * MS, "the slow attempt was not waited for");
}

#[tokio::test(start_paused = true)]
async fn the_whole_stack_protects() {
    let (_, inner) = counted(|number| {
        (
            MS,
            if number % 10 == 0 {
                Err("now and then")
            } else {
                Ok(number)
            },
        )
    });
    let timer = Paused::new();
    let stack = Resilience::new(&edge(), &target(), timer, errors_fail, |_: &u32| Priority::Normal);
    let mut service = stack.layer(inner);
    for _ in 0..200 {
        call(&mut service).await.unwrap();
    }
}
