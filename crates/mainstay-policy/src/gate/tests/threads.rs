//! The same on real threads: many callers, few places, some of whom lose patience.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

use mainstay_base::{Clock, Priority, Rng, SplitMix64, SystemClock};

use super::super::{Enter, Gate, Permit, QueuePolicy, Refusal};

const CAPACITY: u32 = 3;
const THREADS: u64 = 8;
const CALLS: usize = 3_000;

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls until there is an answer; a wake-up that never comes fails the test.
fn wait(mut enter: Pin<Box<Enter>>, clock: SystemClock) -> Result<Permit, Refusal> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let limit = clock.now() + Duration::from_secs(30);
    loop {
        if let Poll::Ready(answer) = enter.as_mut().poll(&mut Context::from_waker(&waker)) {
            return answer;
        }
        thread::park_timeout(Duration::from_secs(30));
        assert!(clock.now() < limit, "nobody woke the one who waits");
    }
}

#[test]
fn threads_never_meet_beyond_the_capacity() {
    let clock = SystemClock::new();
    let policy = QueuePolicy {
        max_waiting: 6,
        target: Duration::from_secs(60),
        interval: Duration::from_secs(60),
    };
    let gate = Gate::new(policy, CAPACITY, Arc::new(clock));
    let inside = AtomicU32::new(0);
    let caller = |seed: u64| {
        let mut rng = SplitMix64::new(seed);
        for _ in 0..CALLS {
            let priority = Priority::ALL[rng.below(4) as usize];
            let mut enter = Box::pin(gate.enter(priority));
            // Some go away after they have queued.
            if rng.below(4) == 0 {
                let _ = enter.as_mut().poll(&mut Context::from_waker(Waker::noop()));
                continue;
            }
            if let Ok(permit) = wait(enter, clock) {
                let now_inside = inside.fetch_add(1, Ordering::SeqCst) + 1;
                assert!(now_inside <= CAPACITY, "{now_inside} inside");
                thread::yield_now();
                inside.fetch_sub(1, Ordering::SeqCst);
                drop(permit);
            }
        }
    };
    thread::scope(|scope| {
        for seed in 0..THREADS {
            scope.spawn(move || caller(seed));
        }
    });
    assert_eq!((gate.in_flight(), gate.waiting()), (0, 0));
}
