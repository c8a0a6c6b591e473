//! A callee under load, event by event: calls come through a [`Gate`] and a [`Limiter`] per replica to replicas that have
//! so many servers and, like real ones, a queue of their own inside. Time and chance are injected; a seed tells all.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap, VecDeque};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use mainstay_base::{Clock, ManualClock, Priority, Rng, SplitMix64, Timestamp};
use mainstay_policy::Outcome;
use mainstay_policy::gate::{Enter, Gate, Permit, QueuePolicy};
use mainstay_policy::limiter::{LimitPolicy, Limiter};

/// How long a call is served.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Service {
    /// Exponentially distributed with this mean.
    Exponential(Duration),
    /// Always the same.
    Constant(Duration),
    /// The first, but the second in so many of a hundred calls.
    Bimodal(Duration, Duration, u32),
}

impl Service {
    pub(crate) fn mean(self) -> Duration {
        match self {
            Self::Exponential(mean) | Self::Constant(mean) => mean,
            Self::Bimodal(usual, rare, percent) => usual * (100 - percent) / 100 + rare * percent / 100,
        }
    }

    fn sample(self, rng: &mut SplitMix64) -> Duration {
        match self {
            Self::Exponential(mean) => exponential(rng, mean),
            Self::Constant(time) => time,
            Self::Bimodal(_, rare, percent) if rng.below(100) < u64::from(percent) => rare,
            Self::Bimodal(usual, _, _) => usual,
        }
    }
}

fn exponential(rng: &mut SplitMix64, mean: Duration) -> Duration {
    mean.mul_f64(-(1.0 - rng.unit()).ln())
}

/// From this moment on things are so.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Phase {
    pub(crate) lasts: Duration,
    /// Calls a second.
    pub(crate) rate: f64,
    /// Servers of each replica.
    pub(crate) servers: usize,
    pub(crate) service: Service,
}

/// What is simulated.
#[derive(Clone, Debug)]
pub(crate) struct Setup {
    pub(crate) seed: u64,
    pub(crate) replicas: usize,
    pub(crate) limit: LimitPolicy,
    pub(crate) queue: QueuePolicy,
    /// How many of a hundred calls are critical, normal, low, bulk.
    pub(crate) mix: [u32; 4],
    /// How long a caller waits before it goes away.
    pub(crate) patience: Duration,
    pub(crate) phases: Vec<Phase>,
}

/// What became of one call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record {
    pub(crate) priority: Priority,
    pub(crate) came: Timestamp,
    pub(crate) ended: Timestamp,
    /// How long it was served; `None` when it was turned away or given up.
    pub(crate) served: Option<Duration>,
}

/// What happened.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) records: Vec<Record>,
    /// The sum of the limits, whenever it changed.
    pub(crate) limits: Vec<(Timestamp, u32)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Come,
    Served { replica: usize, call: usize },
    GiveUp(usize),
    NextPhase,
}

struct Call {
    priority: Priority,
    came: Timestamp,
    started: Timestamp,
    service: Duration,
    waits: Option<Pin<Box<Enter>>>,
    permit: Option<Permit>,
}

struct Replica {
    limiter: Limiter,
    busy: usize,
    queue: VecDeque<usize>,
}

/// Puts the call on the list of those to poll.
struct Ring(usize, Arc<Mutex<VecDeque<usize>>>);

impl Wake for Ring {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push_back(self.0);
    }
}

pub(crate) struct Simulation {
    setup: Setup,
    rng: SplitMix64,
    clock: Arc<ManualClock>,
    gate: Arc<Gate>,
    replicas: Vec<Replica>,
    phase: usize,
    events: BinaryHeap<Reverse<(Timestamp, u64, Event)>>,
    order: u64,
    calls: HashMap<usize, Call>,
    next_call: usize,
    woken: Arc<Mutex<VecDeque<usize>>>,
    history: History,
}

impl Simulation {
    pub(crate) fn run(setup: Setup) -> History {
        let clock = Arc::new(ManualClock::new());
        let replicas: Vec<_> = (0..setup.replicas)
            .map(|_| Replica {
                limiter: Limiter::new(setup.limit.clone(), clock.now()),
                busy: 0,
                queue: VecDeque::new(),
            })
            .collect();
        let capacity = replicas.iter().map(|replica| replica.limiter.limit()).sum();
        let mut simulation = Self {
            rng: SplitMix64::new(setup.seed),
            gate: Gate::new(setup.queue.clone(), capacity, clock.clone()),
            clock,
            replicas,
            phase: 0,
            events: BinaryHeap::new(),
            order: 0,
            calls: HashMap::new(),
            next_call: 0,
            woken: Arc::default(),
            history: History::default(),
            setup,
        };
        simulation.after(Duration::ZERO, Event::Come);
        simulation.after(simulation.setup.phases[0].lasts, Event::NextPhase);
        while let Some(Reverse((at, _, event))) = simulation.events.pop() {
            simulation.clock.advance(at.since(simulation.clock.now()));
            simulation.handle(event);
            simulation.poll_woken();
        }
        assert!(simulation.calls.is_empty(), "every call ends");
        assert_eq!((simulation.gate.in_flight(), simulation.gate.waiting()), (0, 0));
        simulation.history
    }

    fn current(&self) -> Option<Phase> {
        self.setup.phases.get(self.phase).copied()
    }

    fn after(&mut self, delay: Duration, event: Event) {
        self.order += 1;
        self.events
            .push(Reverse((self.clock.now() + delay, self.order, event)));
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Come => self.come(),
            Event::Served { replica, call } => self.served(replica, call),
            Event::GiveUp(call) => {
                if self.calls.get(&call).is_some_and(|call| call.waits.is_some()) {
                    self.end(call, false);
                }
            }
            Event::NextPhase => {
                self.phase += 1;
                if let Some(phase) = self.current() {
                    self.after(phase.lasts, Event::NextPhase);
                }
            }
        }
    }

    fn come(&mut self) {
        let Some(phase) = self.current() else { return };
        let gap = exponential(&mut self.rng, Duration::from_secs_f64(1.0 / phase.rate));
        self.after(gap, Event::Come);
        let call = self.next_call;
        self.next_call += 1;
        let mut drawn = self.rng.below(100) as u32;
        let priority = Priority::ALL
            .into_iter()
            .rev()
            .zip(self.setup.mix)
            .find(|(_, share)| {
                let hit = drawn < *share;
                drawn = drawn.saturating_sub(*share);
                hit
            });
        let priority = priority.map_or(Priority::Normal, |(priority, _)| priority);
        let permit = self.gate.try_enter();
        let waits = permit.is_none().then(|| Box::pin(self.gate.enter(priority)));
        self.calls.insert(
            call,
            Call {
                priority,
                came: self.clock.now(),
                started: self.clock.now(),
                service: Duration::ZERO,
                waits,
                permit: None,
            },
        );
        if let Some(permit) = permit {
            self.start(call, permit);
        } else {
            self.after(self.setup.patience, Event::GiveUp(call));
            self.poll(call);
        }
    }

    fn poll_woken(&mut self) {
        loop {
            let Some(call) = self.woken.lock().unwrap().pop_front() else {
                return;
            };
            self.poll(call);
        }
    }

    fn poll(&mut self, call: usize) {
        let waker = Waker::from(Arc::new(Ring(call, self.woken.clone())));
        let Some(waits) = self.calls.get_mut(&call).and_then(|call| call.waits.as_mut()) else {
            return;
        };
        match waits.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Pending => {}
            Poll::Ready(Ok(permit)) => self.start(call, permit),
            Poll::Ready(Err(_)) => self.end(call, false),
        }
    }

    /// The less busy of two replicas takes the call, or else any that can.
    fn start(&mut self, call: usize, permit: Permit) {
        let count = self.replicas.len() as u64;
        let two = [self.rng.below(count) as usize, self.rng.below(count) as usize];
        let best = if self.replicas[two[0]].limiter.in_flight() <= self.replicas[two[1]].limiter.in_flight() {
            two[0]
        } else {
            two[1]
        };
        let mut candidates = std::iter::once(best).chain(0..self.replicas.len());
        let Some(replica) = candidates.find(|index| self.replicas[*index].limiter.try_start()) else {
            drop(permit);
            return self.end(call, false);
        };
        let state = self.calls.get_mut(&call).unwrap();
        state.waits = None;
        state.permit = Some(permit);
        state.started = self.clock.now();
        self.replicas[replica].queue.push_back(call);
        self.serve(replica);
    }

    fn serve(&mut self, index: usize) {
        // After the last phase the replicas go on as they were.
        let phase = self
            .current()
            .unwrap_or_else(|| *self.setup.phases.last().unwrap());
        while self.replicas[index].busy < phase.servers {
            let Some(call) = self.replicas[index].queue.pop_front() else {
                return;
            };
            self.replicas[index].busy += 1;
            let time = phase.service.sample(&mut self.rng);
            self.calls.get_mut(&call).unwrap().service = time;
            self.after(time, Event::Served { replica: index, call });
        }
    }

    fn served(&mut self, index: usize, call: usize) {
        let now = self.clock.now();
        let replica = &mut self.replicas[index];
        replica.busy -= 1;
        let latency = now.since(self.calls[&call].started);
        if replica.limiter.finish(latency, Outcome::Success, now) {
            let capacity = self.replicas.iter().map(|replica| replica.limiter.limit()).sum();
            self.history.limits.push((now, capacity));
            self.gate.set_capacity(capacity);
        }
        self.end(call, true);
        self.serve(index);
    }

    fn end(&mut self, call: usize, served: bool) {
        let Some(call) = self.calls.remove(&call) else {
            return;
        };
        self.history.records.push(Record {
            priority: call.priority,
            came: call.came,
            ended: self.clock.now(),
            served: served.then_some(call.service),
        });
    }
}
