//! The loop: start what is due, take what has come, give up what is too late.

use std::collections::VecDeque;
use std::num::NonZeroU64;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};

use super::connection::{Connection, Pending};
use super::response::Response;
use super::{Histogram, INTERVAL, Interval, Outcomes, Report, Schedule};

/// Sends the schedule and waits for the answers, at most one timeout longer than the schedule lasts.
///
/// # Errors
/// When the machine refuses what the generator itself needs. What goes wrong with a request is counted.
pub(crate) fn run(schedule: &Schedule) -> Result<Report> {
    // Without this the kernel wakes a sleeper up to 50 us late, to save power.
    rustix::thread::set_current_timer_slack(NonZeroU64::new(1))?;
    let mut generator = Generator::new(schedule)?;
    while let Some(wait) = generator.step()? {
        generator.wait(wait)?;
    }
    Ok(generator.report)
}

struct Generator<'a> {
    schedule: &'a Schedule,
    /// Class of each request, repeated for ever.
    pattern: Vec<usize>,
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    started: Instant,
    /// Requests started so far.
    issued: u64,
    /// Requests of the whole schedule.
    total: u64,
    /// Due, but without a connection.
    backlog: VecDeque<Pending>,
    slots: Vec<Option<Connection>>,
    /// Slots with an idle connection; the one used last is used next.
    idle: Vec<usize>,
    /// Slots without a connection.
    vacant: Vec<usize>,
    /// When to look whether the request in this slot is still the same.
    timeouts: VecDeque<(usize, Instant)>,
    under_way: usize,
    report: Report,
}

impl<'a> Generator<'a> {
    fn new(schedule: &'a Schedule) -> Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).context("epoll")?;
        let intervals = schedule.duration.div_duration_f64(INTERVAL).ceil() as usize;
        let mut generator = Self {
            schedule,
            pattern: spread(
                &schedule
                    .classes
                    .iter()
                    .map(|class| class.weight)
                    .collect::<Vec<_>>(),
            ),
            epoll,
            events: Vec::with_capacity(1024),
            started: Instant::now(),
            issued: 0,
            total: (schedule.rate * schedule.duration.as_secs_f64()) as u64,
            backlog: VecDeque::new(),
            slots: (0..schedule.connections).map(|_| None).collect(),
            idle: Vec::new(),
            vacant: (0..schedule.connections).rev().collect(),
            timeouts: VecDeque::new(),
            under_way: 0,
            report: Report {
                classes: schedule.classes.iter().map(|_| Outcomes::new()).collect(),
                intervals: vec![
                    Interval {
                        offered: 0,
                        good: 0,
                        good_latency: Histogram::new(),
                        arrived: 0,
                    };
                    intervals
                ],
            },
        };
        // A few connections are made before the clock starts, as a running client would have them.
        for _ in 0..schedule.connections.min(64) {
            generator.open();
        }
        generator.wait(Duration::from_millis(20))?;
        generator.started = Instant::now();
        Ok(generator)
    }

    /// Does what is due now; gives the time until something else is, and nothing when all is done.
    fn step(&mut self) -> Result<Option<Duration>> {
        let now = Instant::now();
        while self.issued < self.total && self.intended(self.issued) <= now {
            let class = self.pattern[(self.issued % self.pattern.len() as u64) as usize];
            let intended = self.intended(self.issued);
            self.report.classes[class].offered += 1;
            if let Some(interval) = self.interval(intended) {
                interval.offered += 1;
            }
            self.backlog.push_back(Pending { class, intended });
            self.issued += 1;
        }
        self.give_up(now);
        self.send_backlog();
        if self.issued == self.total && self.backlog.is_empty() && self.under_way == 0 {
            return Ok(None);
        }
        let next_start = (self.issued < self.total).then(|| self.intended(self.issued));
        let next_timeout = self.timeouts.front().map(|(_, due)| *due);
        let next_backlog = self
            .backlog
            .front()
            .map(|pending| pending.intended + self.schedule.timeout);
        let next = [next_start, next_timeout, next_backlog]
            .into_iter()
            .flatten()
            .min();
        let next = next.context("requests under way without a timeout")?;
        Ok(Some(next.saturating_duration_since(Instant::now())))
    }

    fn intended(&self, number: u64) -> Instant {
        self.started + Duration::from_secs_f64(number as f64 / self.schedule.rate)
    }

    /// Drops requests that are too late, in the backlog and on the wire.
    fn give_up(&mut self, now: Instant) {
        while let Some(pending) = self.backlog.front().copied() {
            if pending.intended + self.schedule.timeout > now {
                break;
            }
            self.backlog.pop_front();
            self.report.classes[pending.class].timed_out += 1;
        }
        while let Some((slot, due)) = self.timeouts.front().copied() {
            if due > now {
                break;
            }
            self.timeouts.pop_front();
            let pending = self.slots[slot]
                .as_ref()
                .and_then(|connection| connection.pending);
            if let Some(pending) = pending.filter(|pending| pending.intended + self.schedule.timeout <= now) {
                self.report.classes[pending.class].timed_out += 1;
                self.under_way -= 1;
                self.close(slot);
            }
        }
    }

    fn send_backlog(&mut self) {
        while let Some(pending) = self.backlog.front().copied() {
            let Some(slot) = self.idle.pop() else {
                // As many new connections as there are requests without one.
                let connecting = self.schedule.connections - self.vacant.len() - self.under_way;
                for _ in connecting..self.backlog.len() {
                    if !self.open() {
                        break;
                    }
                }
                return;
            };
            self.backlog.pop_front();
            let Some(connection) = &mut self.slots[slot] else {
                continue;
            };
            let request = &self.schedule.classes[pending.class].bytes;
            self.under_way += 1;
            match connection.send(pending, request) {
                Ok(()) => self
                    .timeouts
                    .push_back((slot, pending.intended + self.schedule.timeout)),
                Err(_) => self.break_off(slot),
            }
        }
    }

    /// Begins one more connection; whether there was room for it.
    fn open(&mut self) -> bool {
        let Some(slot) = self.vacant.pop() else {
            return false;
        };
        let opened = Connection::open(self.schedule.address).and_then(|connection| {
            let interest = epoll::EventFlags::IN | epoll::EventFlags::OUT;
            epoll::add(
                &self.epoll,
                &connection,
                epoll::EventData::new_u64(slot as u64),
                interest,
            )?;
            Ok(connection)
        });
        let Ok(connection) = opened else {
            self.vacant.push(slot);
            return false;
        };
        self.slots[slot] = Some(connection);
        true
    }

    fn close(&mut self, slot: usize) {
        // Dropping the socket takes it out of the epoll set.
        self.slots[slot] = None;
        self.vacant.push(slot);
    }

    /// The connection is gone, and with it its request.
    fn break_off(&mut self, slot: usize) {
        let pending = self.slots[slot]
            .as_ref()
            .and_then(|connection| connection.pending);
        if let Some(pending) = pending {
            self.report.classes[pending.class].broken += 1;
            self.under_way -= 1;
        } else {
            self.idle.retain(|idle| *idle != slot);
        }
        self.close(slot);
    }

    /// Waits for events, at most this long, and handles them.
    fn wait(&mut self, limit: Duration) -> Result<()> {
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        if self.sleep(limit)? {
            let at_once = Timespec {
                tv_sec: 0,
                tv_nsec: 0,
            };
            epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                Some(&at_once),
            )
            .context("epoll")?;
        }
        for event in &events {
            let slot = event.data.u64() as usize;
            if self.handle(slot).is_err() {
                self.break_off(slot);
            }
        }
        self.events = events;
        Ok(())
    }

    /// Sleeps until there are events, at most this long; whether there are. `ppoll` counts nanoseconds, where waiting for
    /// epoll itself is rounded up to a millisecond.
    fn sleep(&self, limit: Duration) -> Result<bool> {
        let limit = Timespec {
            tv_sec: i64::try_from(limit.as_secs()).unwrap_or(i64::MAX),
            tv_nsec: limit.subsec_nanos().into(),
        };
        match poll(&mut [PollFd::new(&self.epoll, PollFlags::IN)], Some(&limit)) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(error).context("ppoll"),
        }
    }

    fn handle(&mut self, slot: usize) -> Result<()> {
        let Some(connection) = &mut self.slots[slot] else {
            return Ok(());
        };
        if connection.is_connecting() {
            connection.connected()?;
            let data = epoll::EventData::new_u64(slot as u64);
            epoll::modify(&self.epoll, &*connection, data, epoll::EventFlags::IN)?;
            self.idle.push(slot);
            return Ok(());
        }
        let Some(response) = connection.receive()? else {
            return Ok(());
        };
        let pending = connection.pending.take().context("an answer to no request")?;
        self.under_way -= 1;
        self.count(pending, &response);
        if response.closes {
            self.close(slot);
        } else {
            self.idle.push(slot);
        }
        Ok(())
    }

    fn count(&mut self, pending: Pending, response: &Response) {
        let outcomes = &mut self.report.classes[pending.class];
        let latency = pending.intended.elapsed();
        if !(200..300).contains(&response.status) {
            outcomes.other_latency.record(latency);
            let refused = matches!(response.status, 429 | 503);
            *(if refused {
                &mut outcomes.refused
            } else {
                &mut outcomes.failed
            }) += 1;
            return;
        }
        outcomes.good += 1;
        outcomes.fallbacks += u64::from(response.is_fallback);
        outcomes.good_latency.record(latency);
        if let Some(interval) = self.interval(pending.intended) {
            interval.good += 1;
            interval.good_latency.record(latency);
        }
        if let Some(interval) = self.interval(Instant::now()) {
            interval.arrived += 1;
        }
    }

    fn interval(&mut self, moment: Instant) -> Option<&mut Interval> {
        let number = moment.duration_since(self.started).div_duration_f64(INTERVAL) as usize;
        self.report.intervals.get_mut(number)
    }
}

/// One period of a sequence in which each class comes as often as its weight says, evenly spread.
pub(super) fn spread(weights: &[usize]) -> Vec<usize> {
    let period: usize = weights.iter().sum();
    let mut sent = vec![0_usize; weights.len()];
    let mut sequence = Vec::with_capacity(period);
    for step in 1..=period {
        // The class that lags most behind its share goes next.
        let lag = |class: &usize| (weights[*class] * step + period * period) - sent[*class] * period;
        let next = (0..weights.len()).max_by_key(lag).unwrap_or_default();
        sent[next] += 1;
        sequence.push(next);
    }
    sequence
}
