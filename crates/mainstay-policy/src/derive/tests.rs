use std::time::Duration;

use mainstay_base::{AppId, Availability, Latency};
use proptest::prelude::*;

use super::derived::Field;
use super::*;
use crate::breaker::Trip;
use crate::overrides::{Overrides, Setting};
use crate::retry::{Backoff, RetryOn};

fn id(name: &str) -> AppId {
    AppId::new(name).expect("a name")
}

fn promise(name: &'static str) -> impl Strategy<Value = Promise> {
    let latency = prop::option::of((1_u64..100_000, prop::option::of(0_u64..100_000)));
    let availability = prop::option::of(1_u32..=100_000);
    let concurrency = prop::option::of(1_u32..5_000);
    (latency, availability, concurrency).prop_map(move |(latency, availability, concurrency)| {
        let mut promise = Promise::nothing(id(name));
        if let Some((p99, more)) = latency {
            let p99 = Duration::from_millis(p99);
            let max = more.map(|more| p99 + Duration::from_millis(more));
            promise = promise.latency(Latency { p99, max }, "mainstay.yaml:1");
        }
        if let Some(availability) = availability {
            let ratio = f64::from(availability) / 100_000.0;
            promise = promise.availability(Availability::from_ratio(ratio), "mainstay.yaml:2");
        }
        match concurrency {
            Some(concurrency) => promise.concurrency(concurrency, "mainstay.yaml:3"),
            None => promise,
        }
    })
}

fn setting<T: std::fmt::Debug>(value: impl Strategy<Value = T>) -> impl Strategy<Value = Option<Setting<T>>> {
    let setting = |value| Setting {
        value,
        sum: "set".to_owned(),
        place: "r.yaml:1".into(),
    };
    prop::option::of(value.prop_map(setting))
}

fn overrides() -> impl Strategy<Value = Overrides> {
    let time = || (1_u64..100_000).prop_map(Duration::from_millis);
    let backoff = prop_oneof![
        time().prop_map(Backoff::Constant),
        time().prop_map(|max| Backoff::Exponential {
            initial: max / 2,
            max
        }),
    ];
    let retries = prop_oneof![0_u32..20, Just(UNLIMITED)];
    let codes = Just(RetryOn::Codes {
        http: vec![(500, 599)],
        grpc: vec![(14, 14)],
    });
    let trip = (0_u32..100).prop_map(Trip::ConsecutiveFailures);
    let all = (
        setting(time()),
        setting(retries),
        setting(backoff),
        setting(codes),
        setting(trip),
        setting(time()),
        setting(time()),
    );
    all.prop_map(
        |(timeout, max_retries, backoff, retry_on, trip, window, open)| Overrides {
            timeout,
            max_retries,
            backoff,
            retry_on,
            trip,
            window,
            open,
        },
    )
}

proptest! {
    #[test]
    fn every_line_says_what_the_policy_holds(
        target in promise("target"),
        caller in prop::option::of(promise("caller")),
        overrides in overrides(),
    ) {
        let mut derived = derive_edge(&target, caller.as_ref(), None);
        let before = derived.clone();
        overrides.apply(&mut derived, caller.as_ref());
        for (line, old) in derived.lines().iter().zip(before.lines()) {
            prop_assert_eq!(&line.reason.value, &line.field.show(&derived.policy));
            match &line.overridden {
                None => prop_assert_eq!(&line.reason, &old.reason),
                Some(overridden) => prop_assert_eq!(overridden, &old.reason),
            }
        }
        prop_assert_eq!(derived.lines().len(), 13);
        prop_assert!(!overrides.is_empty() || derived == before);
    }

    #[test]
    fn the_numbers_of_an_edge_fit_together(
        target in promise("target"),
        caller in prop::option::of(promise("caller")),
        overrides in overrides(),
    ) {
        let mut derived = derive_edge(&target, caller.as_ref(), None);
        overrides.apply(&mut derived, caller.as_ref());
        let policy = derived.policy;
        prop_assert!(!policy.attempt_timeout.is_zero() && !policy.call_timeout.is_zero());
        prop_assert!(policy.retry.min_left <= policy.attempt_timeout.max(target.longest()));
        if let Backoff::FullJitter { base, cap } = policy.retry.backoff {
            prop_assert!(!base.is_zero() && base <= cap);
        }
        // Nobody waits longer than a caller that says how long it may take itself.
        if let Some(caller) = caller.filter(|caller| caller.latency_at.is_some()) {
            prop_assert!(policy.call_timeout <= caller.longest());
        }
    }

    #[test]
    fn the_numbers_of_a_target_fit_together(target in promise("target"), replicas in 1_u32..100) {
        let derived = derive_target(&target, replicas);
        for line in derived.lines() {
            prop_assert_eq!(&line.reason.value, &line.field.show(&derived.policy));
        }
        let policy = derived.policy;
        prop_assert!(1 <= policy.limit.min && policy.limit.min <= policy.limit.initial);
        prop_assert!(policy.limit.initial <= policy.limit.max);
        prop_assert!(target.sla.concurrency.is_none_or(|most| policy.limit.max == most));
        prop_assert!((0.0..=0.8).contains(&policy.ejection.min_success_ratio));
        prop_assert!((1..=10_000).contains(&policy.queue.max_waiting));
        prop_assert_eq!(policy.drain, target.longest());
    }
}

#[test]
fn retries_without_end_end_with_the_deadline() {
    let target = Promise::nothing(id("target"));
    let mut derived = derive_edge(&target, None, None);
    let forever = Setting {
        value: UNLIMITED,
        sum: String::new(),
        place: "r.yaml:1".into(),
    };
    let overrides = Overrides {
        max_retries: Some(forever),
        ..Overrides::default()
    };
    overrides.apply(&mut derived, None);
    assert_eq!(derived.policy.call_timeout, Duration::from_secs(60));
}
