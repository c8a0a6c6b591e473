//! What the gate and the limiter are for: a callee that is offered ten times what it can do.
//!
//! `cargo test -p mainstay-policy --test it overload -- --nocapture` prints the figures.

use std::ops::Range;
use std::time::Duration;

use mainstay_base::{AppId, Latency, Priority, Timestamp};
use mainstay_policy::derive::{Promise, derive_target};

use crate::simulation::{History, Phase, Record, Service, Setup, Simulation};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

/// Usually half the mean, but eleven times longer in one of ten calls.
fn bimodal(mean: Duration) -> Service {
    Service::Bimodal(mean / 2, mean * 11 / 2, 10)
}

/// One replica under the policy that is derived from an SLA, one in twenty calls critical; no phases yet.
fn setup(service: Service) -> Setup {
    let latency = Latency {
        p99: service.mean() * 5,
        max: None,
    };
    let app = AppId::new("callee").expect("a name");
    let policy = derive_target(&Promise::nothing(app).latency(latency, "mainstay.yaml:1"), 1).policy;
    Setup {
        seed: 1,
        replicas: 1,
        limit: policy.limit,
        queue: policy.queue,
        mix: [5, 75, 10, 10],
        patience: SECOND,
        phases: Vec::new(),
    }
}

impl Setup {
    /// Then, for so many seconds, this multiple of what the callee can do.
    fn then(mut self, secs: u32, load: f64, servers: usize, service: Service) -> Self {
        let capacity = (servers * self.replicas) as f64 / service.mean().as_secs_f64();
        self.phases.push(Phase {
            lasts: secs * SECOND,
            rate: load * capacity,
            servers,
            service,
        });
        self
    }

    fn run(self) -> Run {
        let history = Simulation::run(self.clone());
        Run { setup: self, history }
    }
}

/// A simulation that has ended.
struct Run {
    setup: Setup,
    history: History,
}

/// What a time was like.
#[derive(Debug)]
struct Figures {
    /// Time that the servers spent on calls that ended well, as a share of all their time.
    goodput: f64,
    /// Share of the critical calls that were served.
    critical: f64,
    /// Share of all calls that were served.
    served: f64,
    /// 99th percentile of wait and service of the calls that were served.
    p99: Duration,
    /// Mean of the sum of the limits.
    limit: f64,
}

impl Run {
    /// What the time between two seconds was like.
    fn between(&self, from_s: u32, to_s: u32) -> Figures {
        let time = from_s * SECOND..to_s * SECOND;
        let lasts = time.end.saturating_sub(time.start).as_secs_f64();
        let records = &self.history.records;
        let within = |at: Timestamp| time.contains(&at.since(Timestamp::ZERO));
        let ended = records.iter().filter(|record| within(record.ended));
        let work: Duration = ended.filter_map(|record| record.served).sum();
        let came: Vec<&Record> = records.iter().filter(|record| within(record.came)).collect();
        let share = |of: &dyn Fn(&Record) -> bool| {
            let all = came.iter().filter(|record| of(record));
            let served = all.clone().filter(|record| record.served.is_some()).count();
            served as f64 / all.count().max(1) as f64
        };
        let served = came.iter().filter(|record| record.served.is_some());
        let mut latencies: Vec<_> = served.map(|record| record.ended.since(record.came)).collect();
        latencies.sort_unstable();
        Figures {
            goodput: work.as_secs_f64() / lasts / self.servers(time.start) as f64,
            critical: share(&|record| record.priority == Priority::Critical),
            served: share(&|_| true),
            p99: latencies
                .get(latencies.len() * 99 / 100)
                .copied()
                .unwrap_or_default(),
            limit: self.mean_limit(&time),
        }
    }

    /// How many servers all replicas had at a moment.
    fn servers(&self, at: Duration) -> usize {
        let (mut servers, mut begins) = (0, Duration::ZERO);
        for phase in &self.setup.phases {
            if begins <= at {
                servers = phase.servers * self.setup.replicas;
            }
            begins += phase.lasts;
        }
        servers
    }

    fn mean_limit(&self, time: &Range<Duration>) -> f64 {
        let mut limit = self.setup.limit.initial * self.setup.replicas as u32;
        let (mut since, mut sum) = (time.start, 0.0);
        for (at, changed) in &self.history.limits {
            let at = at.since(Timestamp::ZERO).clamp(time.start, time.end);
            sum += f64::from(limit) * at.saturating_sub(since).as_secs_f64();
            (since, limit) = (at, *changed);
        }
        sum += f64::from(limit) * time.end.saturating_sub(since).as_secs_f64();
        sum / time.end.saturating_sub(time.start).as_secs_f64()
    }
}

/// Ten seconds of light load, ten of ten times the capacity, ten of light load again.
struct Overload {
    /// Of the whole time of overload.
    during: Figures,
    /// p99 of the accepted calls under overload by that without load.
    p99_ratio: f64,
    /// From five seconds after the overload on.
    after: Figures,
    after_p99_ratio: f64,
}

impl Overload {
    /// The least that must be left of goodput and of the critical calls under overload, and by how much latency may grow.
    #[track_caller]
    fn keeps(&self, goodput: f64, critical: f64, p99_ratio: f64) {
        assert!(self.during.goodput >= goodput, "goodput");
        assert!(self.during.critical >= critical, "critical");
        assert!(self.p99_ratio <= p99_ratio, "latency");
    }

    /// Five seconds after the overload nothing is left of it.
    #[track_caller]
    fn is_over_soon(&self) {
        assert!(
            self.after.served >= 0.999 && self.after_p99_ratio <= 1.3,
            "back to normal"
        );
    }
}

fn overload(servers: usize, service: Service, setup: Setup) -> Overload {
    let replicas = setup.replicas;
    let run = setup
        .then(10, 0.3, servers, service)
        .then(10, 10.0, servers, service)
        .then(10, 0.3, servers, service)
        .run();
    let (light, during, after) = (run.between(0, 10), run.between(10, 20), run.between(25, 30));
    let result = Overload {
        p99_ratio: during.p99.as_secs_f64() / light.p99.as_secs_f64(),
        after_p99_ratio: after.p99.as_secs_f64() / light.p99.as_secs_f64(),
        during,
        after,
    };
    println!(
        "{replicas} x {servers} {service:?}: goodput {:.1} %, critical {:.2} %, p99 {:.1?} = {:.2} x unloaded, limit {:.0}; \
         after: served {:.2} %, p99 {:.2} x",
        result.during.goodput * 100.0,
        result.during.critical * 100.0,
        result.during.p99,
        result.p99_ratio,
        result.during.limit,
        result.after.served * 100.0,
        result.after_p99_ratio,
    );
    result
}

#[test]
fn ten_times_the_load_keeps_goodput_critical_calls_and_latency() {
    for servers in [4, 8, 16, 64] {
        for service in [Service::Exponential(10 * MS), bimodal(10 * MS)] {
            let result = overload(servers, service, setup(service));
            result.keeps(0.95, 0.999, 2.0);
            result.is_over_soon();
        }
    }
}

#[test]
fn a_slow_callee() {
    let service = Service::Exponential(100 * MS);
    let result = overload(8, service, setup(service));
    result.keeps(0.93, 0.999, 2.0);
}

#[test]
fn several_replicas_share_one_gate() {
    let service = Service::Exponential(10 * MS);
    let result = overload(
        8,
        service,
        Setup {
            replicas: 4,
            ..setup(service)
        },
    );
    result.keeps(0.95, 0.999, 2.0);
    result.is_over_soon();
}

/// The critical calls take nine tenths of what the callee can do.
#[test]
fn critical_calls_that_just_fit_are_served() {
    let service = Service::Exponential(10 * MS);
    let result = overload(
        16,
        service,
        Setup {
            mix: [9, 71, 10, 10],
            ..setup(service)
        },
    );
    result.keeps(0.95, 0.999, 2.0);
}

/// With one server a call waits for whole services of others, and the critical ones, which take half of its time, for each
/// other: twice the unloaded latency cannot be had by any order of service. It stays bounded.
#[test]
fn one_server() {
    let service = Service::Exponential(10 * MS);
    let result = overload(1, service, setup(service));
    result.keeps(0.95, 0.99, 4.0);
    assert!(result.during.limit <= 5.0, "limit");
}

/// Every call takes the same time: the servers go in step, and a call that waits inside waits for a whole service.
#[test]
fn a_callee_without_any_variance() {
    let service = Service::Constant(10 * MS);
    let result = overload(16, service, setup(service));
    result.keeps(0.95, 0.999, 2.5);
}

#[test]
fn the_limit_does_not_drift_in_a_long_overload() {
    let service = Service::Exponential(10 * MS);
    let run = setup(service).then(120, 4.0, 8, service).run();
    let early = run.between(5, 35);
    let late = run.between(90, 120);
    println!("long overload: early {early:.2?}, late {late:.2?}");
    assert!(late.limit <= 14.0 && late.limit >= 8.0, "{late:?}");
    assert!(
        late.p99.as_secs_f64() <= 1.25 * early.p99.as_secs_f64(),
        "{early:?} {late:?}"
    );
    assert!(late.goodput >= 0.95, "{late:?}");
}

/// Close to its capacity the callee queues although the limit is not reached: that must not pass for normal for good.
#[test]
fn what_is_learnt_near_saturation_is_corrected() {
    let service = Service::Exponential(10 * MS);
    let run = setup(service)
        .then(40, 0.97, 8, service)
        .then(20, 10.0, 8, service)
        .run();
    let late = run.between(45, 60);
    println!("after saturation: {late:.2?}");
    assert!(late.limit <= 14.0 && late.goodput >= 0.95, "{late:?}");
}

#[test]
fn a_callee_that_becomes_slower_for_good_keeps_its_goodput() {
    for servers in [4, 8, 64] {
        let (fast, slow) = (Service::Exponential(10 * MS), Service::Exponential(20 * MS));
        let run = setup(fast)
            .then(15, 3.0, servers, fast)
            .then(30, 3.0, servers, slow)
            .run();
        let change = run.between(15, 20);
        let later = run.between(20, 45);
        println!("{servers} servers, slower: first {change:.2?}, later {later:.2?}");
        assert!(change.goodput >= 0.7, "{change:?}");
        assert!(later.goodput >= 0.95 && later.critical >= 0.999, "{later:?}");
    }
}

#[test]
fn a_callee_that_loses_servers_is_given_less() {
    let service = Service::Exponential(10 * MS);
    let run = setup(service)
        .then(15, 3.0, 16, service)
        .then(20, 12.0, 4, service)
        .run();
    let later = run.between(20, 35);
    println!("fewer servers: {later:.2?}");
    assert!(later.limit <= 10.0 && later.goodput >= 0.95, "{later:?}");
    assert!(later.p99 <= 150 * MS, "{later:?}");
}

#[test]
fn a_callee_that_gains_servers_is_given_more() {
    let service = Service::Exponential(10 * MS);
    let run = setup(service)
        .then(15, 10.0, 4, service)
        .then(15, 2.5, 16, service)
        .run();
    let later = run.between(20, 30);
    println!("more servers: {later:.2?}");
    assert!(later.goodput >= 0.95, "{later:?}");
}

/// From a cold start the limit has to grow from twenty to more than sixty first.
#[test]
fn load_that_fits_is_not_held_back() {
    for (service, load) in [
        (Service::Exponential(10 * MS), 0.7),
        (bimodal(10 * MS), 0.7),
        (Service::Constant(50 * MS), 0.8),
    ] {
        let run = setup(service).then(30, load, 64, service).run();
        let start = run.between(0, 1);
        let later = run.between(2, 30);
        println!("{service:?}, load {load}: at first {start:.3?}, later {later:.3?}");
        assert!(start.served >= 0.5, "{start:?}");
        assert!(later.served >= 0.999, "{later:?}");
    }
}
