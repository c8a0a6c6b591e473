//! Whatever happens in whatever order: no place is lost or given twice, and nobody is forgotten.

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use mainstay_base::{ManualClock, Priority};
use proptest::prelude::*;

use super::super::{Gate, Permit};
use super::{Caller, gate};

const MAX_WAITING: usize = 6;

#[derive(Clone, Copy, Debug)]
enum Step {
    TryEnter,
    Enter(Priority),
    /// The caller with this index, modulo their number, is polled, whether woken or not.
    Poll(usize),
    /// ... goes away.
    Cancel(usize),
    /// The permit with this index is dropped.
    Leave(usize),
    SetCapacity(u32),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => Just(Step::TryEnter),
        6 => prop::sample::select(&Priority::ALL[..]).prop_map(Step::Enter),
        4 => any::<usize>().prop_map(Step::Poll),
        2 => any::<usize>().prop_map(Step::Cancel),
        5 => any::<usize>().prop_map(Step::Leave),
        1 => (0_u32..5).prop_map(Step::SetCapacity),
        2 => (1_u64..150).prop_map(Step::Wait),
    ]
}

struct World {
    gate: Arc<Gate>,
    clock: Arc<ManualClock>,
    permits: Vec<Permit>,
    callers: Vec<Caller>,
}

impl World {
    fn new() -> Self {
        let (gate, clock) = gate(2, MAX_WAITING);
        Self {
            gate,
            clock,
            permits: Vec::new(),
            callers: Vec::new(),
        }
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::TryEnter => self.permits.extend(self.gate.try_enter()),
            Step::Enter(priority) => {
                let mut caller = Caller {
                    enter: Box::pin(self.gate.enter(priority)),
                    bell: Arc::default(),
                };
                match caller.poll() {
                    None => self.callers.push(caller),
                    Some(answer) => self.permits.extend(answer),
                }
            }
            Step::Poll(index) if !self.callers.is_empty() => self.poll(index % self.callers.len()),
            Step::Cancel(index) if !self.callers.is_empty() => {
                drop(self.callers.swap_remove(index % self.callers.len()));
            }
            Step::Leave(index) if !self.permits.is_empty() => {
                drop(self.permits.swap_remove(index % self.permits.len()));
            }
            Step::SetCapacity(capacity) => self.gate.set_capacity(capacity),
            Step::Wait(millis) => self.clock.advance(Duration::from_millis(millis)),
            Step::Poll(_) | Step::Cancel(_) | Step::Leave(_) => {}
        }
    }

    fn poll(&mut self, index: usize) {
        let was_woken = self.callers[index].rings() > 0;
        let answer = self.callers[index].poll();
        assert_eq!(answer.is_some(), was_woken, "decided exactly when woken");
        if let Some(answer) = answer {
            self.permits.extend(answer);
            self.callers.swap_remove(index);
        }
    }

    /// What holds after each step; `before` were in before it.
    fn check(&self, before: u32) {
        let (inside, waiting) = (self.gate.in_flight(), self.gate.waiting());
        let capacity = self.gate.capacity();
        assert!(
            inside <= before.max(capacity),
            "nobody goes in beyond the capacity"
        );
        assert!(
            waiting == 0 || inside >= capacity,
            "nobody waits while there is room"
        );
        assert!(waiting <= MAX_WAITING, "the queue is bounded");
        assert!(
            self.callers.iter().all(|caller| caller.rings() <= 1),
            "woken once"
        );
        let unwoken = self.callers.iter().filter(|caller| caller.rings() == 0).count();
        assert_eq!(unwoken, waiting, "those who wait are those not woken");
        let given = inside as usize - self.permits.len();
        assert!(given <= self.callers.len() - unwoken, "no place is lost");
    }
}

proptest! {
    #[test]
    fn places_and_wake_ups_are_conserved(steps in prop::collection::vec(step(), 1..200)) {
        let mut world = World::new();
        for step in steps {
            let before = world.gate.in_flight();
            world.take(step);
            world.check(before);
        }
        let World { gate, permits, callers, .. } = world;
        drop(callers);
        drop(permits);
        prop_assert_eq!((gate.in_flight(), gate.waiting()), (0, 0));
        gate.set_capacity(1);
        prop_assert!(gate.try_enter().is_some());
    }
}

#[test]
fn a_new_waker_replaces_the_old_one() {
    let (gate, _clock) = gate(1, 10);
    let inside = gate.try_enter().expect("room");
    let mut caller = Caller::new(&gate, Priority::Normal);
    let other = Arc::new(super::Bell::default());
    let waker = other.clone().into();
    assert!(matches!(
        caller.enter.as_mut().poll(&mut Context::from_waker(&waker)),
        Poll::Pending
    ));
    drop(inside);
    assert_eq!(caller.rings(), 0);
    assert_eq!(other.0.load(std::sync::atomic::Ordering::Relaxed), 1);
}
