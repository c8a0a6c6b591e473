//! Watches one connection: closes it when it is idle, cuts it when it is slow on purpose or the server stops.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::activity::Activity;
use super::connection::Protocol;
use super::{Limits, Phase};
use crate::metrics::Refusal;

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// As connections do.
    Closed,
    /// It has not: nothing is under way on it, and it can be put aside until something comes.
    Parked,
    /// What came was no HTTP; hyper has said so.
    Malformed,
    /// A head was begun and not finished in time.
    HeadTimeout,
    /// The client did not take its answer.
    Stalled,
    /// The server stops, or the peer ignores that it should leave.
    Cut,
}

impl End {
    /// How it counts.
    pub(super) fn refusal(self) -> Option<Refusal> {
        match self {
            Self::Malformed => Some(Refusal::Malformed),
            Self::HeadTimeout => Some(Refusal::HeadTimeout),
            Self::Stalled => Some(Refusal::Stalled),
            Self::Closed | Self::Parked | Self::Cut => None,
        }
    }
}

/// Watches one connection. It has one timer, which is set when something is unusual and never per request.
pub(super) struct Watchdog<'a> {
    pub(super) activity: &'a Activity,
    pub(super) limits: &'a Limits,
    pub(super) phase: watch::Receiver<Phase>,
}

impl Watchdog<'_> {
    /// Drives `connection` to its end; `drain` asks it to end after its running requests.
    pub(super) async fn watch<C>(
        self,
        protocol: Protocol,
        mut connection: Pin<&mut C>,
        drain: fn(Pin<&mut C>),
    ) -> End
    where
        C: Future<Output = hyper::Result<()>>,
    {
        let activity = self.activity;
        let news = self.phase.clone();
        let mut phase = Some(self.phase);
        let mut judge = Judge::new(protocol, self.limits);
        let mut timer = pin!(sleep(judge.armed_for));
        loop {
            let slow_head = poll_fn(|_| {
                let slow = judge.is_new_slow_head(activity);
                if slow { Poll::Ready(()) } else { Poll::Pending }
            });
            // Both are hardly ever ready, and looking is not free. The first look registers the task, and its waker stays the
            // same; after that it is enough to look when there is something to see.
            let mut next = pin!(next_phase(&mut phase));
            let mut asked = false;
            let next = poll_fn(|context| {
                if std::mem::replace(&mut asked, true) && matches!(news.has_changed(), Ok(false)) {
                    return Poll::Pending;
                }
                next.as_mut().poll(context)
            });
            let mut timed = false;
            let time_is_up = poll_fn(|context| {
                if std::mem::replace(&mut timed, true) && !timer.is_elapsed() {
                    return Poll::Pending;
                }
                timer.as_mut().poll(context)
            });
            // The order matters: only after the connection was polled is a head that has not begun a request unfinished.
            let verdict = tokio::select! {
                biased;
                result = connection.as_mut() => return end_of(&result),
                next = next => match next {
                    Phase::Open => continue,
                    Phase::Draining => judge.drain(),
                    Phase::Cut => return End::Cut,
                },
                () = slow_head => judge.head_begun(activity),
                () = time_is_up => judge.time_is_up(activity),
            };
            let after = match verdict {
                Verdict::LookAgain(after) => after,
                Verdict::Drain(after) => {
                    drain(connection.as_mut());
                    after
                }
                Verdict::End(end) => return end,
            };
            timer.as_mut().reset(Instant::now() + after);
        }
    }
}

/// What is done about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// Nothing until this time has passed.
    LookAgain(Duration),
    /// It is asked to end, and looked at again after this time.
    Drain(Duration),
    /// It ends.
    End(End),
}

/// Judges a connection: decides, and leaves the doing to the [`Watchdog`].
struct Judge {
    protocol: Protocol,
    head_timeout: Duration,
    idle_timeout: Duration,
    park_after: Duration,
    /// The head that the timer is set for, if it is set for one.
    watched_head: Option<u32>,
    /// How long nothing has moved.
    still_for: Duration,
    /// What the timer was set to.
    armed_for: Duration,
    draining: bool,
}

impl Judge {
    fn new(protocol: Protocol, limits: &Limits) -> Self {
        let park_after = match protocol {
            Protocol::Http1 => limits.park_after.min(limits.idle_timeout),
            Protocol::Http2 => limits.idle_timeout,
        };
        Self {
            protocol,
            head_timeout: limits.head_timeout,
            idle_timeout: limits.idle_timeout,
            park_after,
            watched_head: None,
            still_for: Duration::ZERO,
            armed_for: park_after,
            draining: false,
        }
    }

    fn look_again(&mut self, after: Duration) -> Verdict {
        self.armed_for = after;
        Verdict::LookAgain(after)
    }

    /// Whether a head has begun that the timer is not set for yet.
    fn is_new_slow_head(&self, activity: &Activity) -> bool {
        self.protocol == Protocol::Http1 && self.watched_head.is_none() && activity.is_mid_head()
    }

    /// From now on, the head has its time.
    fn head_begun(&mut self, activity: &Activity) -> Verdict {
        self.watched_head = Some(activity.begun());
        self.look_again(self.head_timeout)
    }

    /// The server stops, or the connection is idle.
    fn drain(&mut self) -> Verdict {
        self.draining = true;
        self.armed_for = self.idle_timeout;
        Verdict::Drain(self.idle_timeout)
    }

    /// The timer has run out.
    fn time_is_up(&mut self, activity: &Activity) -> Verdict {
        if let Some(head) = self.watched_head.take() {
            let unfinished = activity.is_mid_head() && activity.begun() == head;
            return if unfinished {
                Verdict::End(End::HeadTimeout)
            } else {
                self.look_again(self.park_after)
            };
        }
        if activity.take_moved() {
            self.still_for = Duration::ZERO;
            return self.look_again(self.park_after);
        }
        if self.protocol == Protocol::Http1 && !self.draining && activity.is_still() {
            return Verdict::End(End::Parked);
        }
        self.still_for += self.armed_for;
        let left = self.idle_timeout.saturating_sub(self.still_for);
        if !left.is_zero() {
            return self.look_again(left);
        }
        if activity.is_write_blocked() {
            Verdict::End(End::Stalled)
        } else if !activity.is_between_requests() {
            self.look_again(self.idle_timeout)
        } else if self.draining {
            Verdict::End(End::Cut)
        } else {
            self.drain()
        }
    }
}

/// The next phase of the server. One that was dropped without being stopped drains its connections.
async fn next_phase(phase: &mut Option<watch::Receiver<Phase>>) -> Phase {
    let Some(receiver) = phase else {
        return std::future::pending().await;
    };
    if receiver.changed().await.is_ok() {
        return *receiver.borrow();
    }
    *phase = None;
    Phase::Draining
}

fn end_of(result: &hyper::Result<()>) -> End {
    match result {
        Err(error) if error.is_parse() => End::Malformed,
        _ => End::Closed,
    }
}

#[cfg(test)]
mod tests;
