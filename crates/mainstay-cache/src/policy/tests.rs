use proptest::prelude::*;

use super::*;

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

const LIFETIME: Lifetime = Lifetime {
    ttl: seconds(30),
    stale: seconds(300),
};

#[test]
fn an_entry_goes_through_its_ages() {
    let verdict = |age| judge(age, LIFETIME, Some(seconds(24)));
    let nearly = |age: u64| seconds(age).saturating_sub(Duration::from_nanos(1));
    assert_eq!(verdict(Duration::ZERO), Verdict::Fresh);
    assert_eq!(verdict(nearly(24)), Verdict::Fresh);
    assert_eq!(verdict(seconds(24)), Verdict::RefreshAhead);
    assert_eq!(verdict(nearly(30)), Verdict::RefreshAhead);
    assert_eq!(verdict(seconds(30)), Verdict::Stale);
    assert_eq!(verdict(nearly(330)), Verdict::Stale);
    assert_eq!(verdict(seconds(330)), Verdict::Miss);
}

#[test]
fn without_stale_time_it_is_gone_when_it_expires() {
    let lifetime = LIFETIME.never_stale();
    assert_eq!(judge(seconds(30), lifetime, None), Verdict::Miss);
    let none = lifetime.gone_after(Duration::ZERO);
    assert_eq!(judge(Duration::ZERO, none, None), Verdict::Miss);
}

#[test]
fn a_lifetime_can_be_cut() {
    let cut = LIFETIME.fresh_at_most(seconds(10));
    assert_eq!((cut.ttl, cut.stale), (seconds(10), seconds(300)));
    let cut = LIFETIME.gone_after(seconds(40));
    assert_eq!((cut.ttl, cut.stale), (seconds(30), seconds(10)));
    let cut = LIFETIME.gone_after(seconds(20));
    assert_eq!((cut.ttl, cut.stale), (seconds(20), Duration::ZERO));
}

#[test]
fn refreshes_of_entries_and_processes_are_spread() {
    let due = |salt, seed| refresh_at(seconds(100), 0.8, spread(salt, seed));
    let of_entries: Vec<_> = (0..1_000).map(|salt| due(salt, 7)).collect();
    let of_processes: Vec<_> = (0..1_000).map(|seed| due(7, seed)).collect();
    for mut dues in [of_entries, of_processes] {
        dues.sort();
        assert!(dues[0] >= seconds(70) && dues[999] <= seconds(90));
        // Each fifth of the window has about a fifth of them.
        for fifth in 0..5 {
            let window = seconds(70 + 4 * fifth)..seconds(74 + 4 * fifth);
            let inside = dues.iter().filter(|due| window.contains(*due)).count();
            assert!((150..=250).contains(&inside), "{fifth}: {inside}");
        }
    }
    assert_eq!(due(3, 4), due(3, 4));
}

fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![
        Just(Duration::ZERO),
        Just(Duration::MAX),
        (0_u64..10_000_000_000).prop_map(Duration::from_nanos),
        (0_u64..u64::MAX).prop_map(Duration::from_millis),
    ]
}

proptest! {
    #[test]
    fn an_entry_only_gets_worse(ttl in durations(), stale in durations(), due in proptest::option::of(durations()),
                                age in durations(), later in durations()) {
        let rank = |verdict| match verdict {
            Verdict::Fresh => 0,
            Verdict::RefreshAhead => 1,
            Verdict::Stale => 2,
            Verdict::Miss => 3,
        };
        let lifetime = Lifetime { ttl, stale };
        let (age, later) = (age.min(later), age.max(later));
        prop_assert!(rank(judge(age, lifetime, due)) <= rank(judge(later, lifetime, due)));
        prop_assert_eq!(judge(age, lifetime, due).is_fresh(), age < ttl);
        prop_assert!(judge(lifetime.total(), lifetime, due) == Verdict::Miss);
    }

    #[test]
    fn a_refresh_is_due_before_the_end(ttl in (0_u64..u64::MAX / 2).prop_map(Duration::from_nanos), fraction in 0.0..=1.0, spread in 0.0..1.0) {
        let due = refresh_at(ttl, fraction, spread);
        prop_assert!(due <= ttl);
        let share = due.as_secs_f64() / ttl.as_secs_f64().max(1e-9);
        prop_assert!(ttl < Duration::from_micros(1) || (share - fraction).abs() <= REFRESH_JITTER + 1e-3, "{}", share);
    }

    #[test]
    fn cutting_never_lengthens(ttl in durations(), stale in durations(), cut in durations()) {
        let lifetime = Lifetime { ttl, stale };
        prop_assert!(lifetime.gone_after(cut).total() <= cut);
        prop_assert!(lifetime.gone_after(cut).total() <= lifetime.total());
        prop_assert!(lifetime.fresh_at_most(cut).total() <= lifetime.total());
        prop_assert!(lifetime.fresh_at_most(cut).ttl <= cut);
    }
}
