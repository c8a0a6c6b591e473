//! The door by hand: futures are polled and dropped one by one, so every interleaving can be written down.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use mainstay_base::{ManualClock, Priority};

use super::{Enter, Gate, Permit, QueuePolicy, Refusal};

mod properties;
mod threads;

/// Counts how often it was woken.
#[derive(Default)]
struct Bell(AtomicUsize);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A call that waits.
struct Caller {
    enter: Pin<Box<Enter>>,
    bell: Arc<Bell>,
}

impl Caller {
    fn new(gate: &Arc<Gate>, priority: Priority) -> Self {
        let mut caller = Self {
            enter: Box::pin(gate.enter(priority)),
            bell: Arc::default(),
        };
        assert!(caller.poll().is_none(), "it should wait");
        caller
    }

    fn poll(&mut self) -> Option<Result<Permit, Refusal>> {
        let waker = Waker::from(self.bell.clone());
        match self.enter.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(answer) => Some(answer),
            Poll::Pending => None,
        }
    }

    fn rings(&self) -> usize {
        self.bell.0.load(Ordering::Relaxed)
    }

    /// The answer of a call that was woken once.
    fn answer(mut self) -> Result<Permit, Refusal> {
        assert_eq!(self.rings(), 1, "woken once");
        self.poll().expect("woken, so decided")
    }
}

fn gate(capacity: u32, max_waiting: usize) -> (Arc<Gate>, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::new());
    let policy = QueuePolicy {
        max_waiting,
        target: Duration::from_millis(5),
        interval: Duration::from_millis(100),
    };
    (Gate::new(policy, capacity, clock.clone()), clock)
}

#[test]
fn lets_in_up_to_its_capacity_and_then_in_turn() {
    let (gate, _clock) = gate(2, 10);
    let first = gate.try_enter().expect("room");
    let second = gate.try_enter().expect("room");
    assert!(gate.try_enter().is_none());
    let early = Caller::new(&gate, Priority::Normal);
    let late = Caller::new(&gate, Priority::Normal);
    let critical = Caller::new(&gate, Priority::Critical);
    assert_eq!((gate.in_flight(), gate.waiting()), (2, 3));
    drop(first);
    let permit = critical.answer().expect("the highest priority goes first");
    drop(second);
    let other = early.answer().expect("then the oldest");
    assert!(gate.try_enter().is_none(), "nobody overtakes those who wait");
    drop(permit);
    drop(late.answer());
    drop(other);
    assert_eq!((gate.in_flight(), gate.waiting()), (0, 0));
}

#[test]
fn a_full_queue_makes_room_for_a_higher_priority_only() {
    let (gate, _clock) = gate(1, 2);
    let _inside = gate.try_enter().expect("room");
    let bulk = Caller::new(&gate, Priority::Bulk);
    let normal = Caller::new(&gate, Priority::Normal);
    let mut refused = Box::pin(gate.enter(Priority::Bulk));
    let answer = refused.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(answer, Poll::Ready(Err(Refusal::QueueFull(_)))));
    let _critical = Caller::new(&gate, Priority::Critical);
    assert!(matches!(bulk.answer(), Err(Refusal::Displaced(_))));
    assert_eq!((normal.rings(), gate.waiting()), (0, 2));
}

#[test]
fn a_standing_queue_is_served_newest_first_and_sheds_the_rest() {
    let (gate, clock) = gate(1, 10);
    let inside = gate.try_enter().expect("room");
    let oldest = Caller::new(&gate, Priority::Normal);
    clock.advance(Duration::from_millis(98));
    let older = Caller::new(&gate, Priority::Normal);
    clock.advance(Duration::from_millis(3));
    // The class has stood for more than 100 ms; the target is 5 ms.
    let newest = Caller::new(&gate, Priority::Normal);
    match oldest.answer() {
        Err(Refusal::WaitedTooLong(after)) => assert_eq!(after, Duration::from_millis(101)),
        other => panic!("{other:?}"),
    }
    drop(inside);
    let inside = newest.answer().expect("the newest goes first");
    clock.advance(Duration::from_millis(3));
    drop(inside);
    assert!(matches!(older.answer(), Err(Refusal::WaitedTooLong(_))));
    assert_eq!((gate.in_flight(), gate.waiting()), (0, 0));
}

#[test]
fn a_standing_queue_that_drains_for_a_moment_still_stands() {
    let (gate, clock) = gate(1, 10);
    let mut inside = gate.try_enter().expect("room");
    let first = Caller::new(&gate, Priority::Normal);
    clock.advance(Duration::from_millis(99));
    let second = Caller::new(&gate, Priority::Normal);
    clock.advance(Duration::from_millis(4));
    drop(inside);
    assert!(first.answer().is_err(), "the class stands");
    inside = second.answer().expect("within the target");
    let wait_again = |pause_ms| {
        clock.advance(Duration::from_millis(pause_ms));
        let caller = Caller::new(&gate, Priority::Normal);
        clock.advance(Duration::from_millis(6));
        caller
    };
    // Nobody waited for 50 ms, but that is less than an interval.
    let caller = wait_again(50);
    drop(inside);
    assert!(matches!(caller.answer(), Err(Refusal::WaitedTooLong(_))));
    let inside = gate.try_enter().expect("room");
    let caller = wait_again(150);
    drop(inside);
    assert!(caller.answer().is_ok(), "the overload was over");
}

#[test]
fn critical_calls_wait_while_a_flood_of_others_is_shed() {
    let (gate, clock) = gate(1, 100);
    let mut inside = gate.try_enter().expect("room");
    let normal = Caller::new(&gate, Priority::Normal);
    let critical = Caller::new(&gate, Priority::Critical);
    let second = Caller::new(&gate, Priority::Critical);
    clock.advance(Duration::from_millis(400));
    drop(inside);
    assert!(matches!(normal.answer(), Err(Refusal::WaitedTooLong(_))));
    inside = critical.answer().expect("still in time, and the oldest first");
    clock.advance(Duration::from_millis(700));
    drop(inside);
    // Critical calls alone are more than fit.
    assert!(matches!(second.answer(), Err(Refusal::WaitedTooLong(_))));
}

#[test]
fn a_burst_that_drains_is_served_in_order() {
    let (gate, clock) = gate(1, 10);
    let mut inside = gate.try_enter().expect("room");
    let burst: Vec<_> = (0..4).map(|_| Caller::new(&gate, Priority::Normal)).collect();
    for caller in burst {
        clock.advance(Duration::from_millis(1));
        drop(inside);
        inside = caller.answer().expect("in order of arrival");
    }
}

#[test]
fn capacity_may_change_at_any_time() {
    let (gate, _clock) = gate(0, 10);
    assert!(gate.try_enter().is_none());
    let callers: Vec<_> = (0..3).map(|_| Caller::new(&gate, Priority::Normal)).collect();
    gate.set_capacity(2);
    assert_eq!((gate.in_flight(), gate.waiting()), (2, 1));
    gate.set_capacity(1);
    let mut callers = callers.into_iter();
    drop(callers.next().map(Caller::answer));
    assert_eq!((gate.in_flight(), gate.waiting()), (1, 1));
    drop(callers.next().map(Caller::answer));
    assert_eq!((gate.in_flight(), gate.waiting()), (1, 0));
}

#[test]
fn a_place_given_to_a_call_that_goes_away_goes_to_the_next() {
    let (gate, _clock) = gate(1, 10);
    let inside = gate.try_enter().expect("room");
    let first = Caller::new(&gate, Priority::Normal);
    let second = Caller::new(&gate, Priority::Normal);
    drop(inside);
    assert_eq!((first.rings(), second.rings()), (1, 0));
    drop(first);
    let permit = second.answer().expect("the place was passed on");
    drop(permit);
    assert_eq!(gate.in_flight(), 0);
}
