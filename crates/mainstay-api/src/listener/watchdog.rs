//! Watches one connection: closes it when it is idle, cuts it when it is slow on purpose or the server stops.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

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
            Self::Closed | Self::Cut => None,
        }
    }
}

/// Watches one connection. It has one timer, which is set when something is unusual and never per request.
pub(super) struct Watchdog<'a> {
    pub(super) activity: Arc<Activity>,
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
        let Limits {
            head_timeout,
            idle_timeout,
            ..
        } = *self.limits;
        let mut phase = Some(self.phase);
        let mut timer = pin!(sleep(idle_timeout));
        // The head that the timer is set for, if it is set for one.
        let mut watched_head = None;
        let mut draining = false;
        let activity = &self.activity;
        loop {
            let slow_head = poll_fn(|_| {
                let slow = protocol == Protocol::Http1 && activity.is_mid_head();
                if slow { Poll::Ready(()) } else { Poll::Pending }
            });
            // The order matters: only after the connection was polled is a head that has not begun a request unfinished.
            tokio::select! {
                biased;
                result = connection.as_mut() => return end_of(&result),
                next = next_phase(&mut phase) => match next {
                    Phase::Open => {}
                    Phase::Draining => {
                        draining = true;
                        drain(connection.as_mut());
                    }
                    Phase::Cut => return End::Cut,
                },
                () = slow_head, if watched_head.is_none() => {
                    watched_head = Some(activity.begun());
                    timer.as_mut().reset(Instant::now() + head_timeout);
                }
                () = timer.as_mut() => {
                    timer.as_mut().reset(Instant::now() + idle_timeout);
                    match verdict(activity, watched_head.take(), draining) {
                        Verdict::Fine => {}
                        Verdict::Drain => {
                            draining = true;
                            drain(connection.as_mut());
                        }
                        Verdict::End(end) => return end,
                    }
                }
            }
        }
    }
}

/// What is done about a connection when its timer has run out.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Fine,
    Drain,
    End(End),
}

/// Judges a connection whose timer has run out. `watched_head` is the head the timer was set for; without one, it was
/// set for standing still.
fn verdict(activity: &Activity, watched_head: Option<u32>, draining: bool) -> Verdict {
    if watched_head.is_some() {
        let unfinished = activity.is_mid_head() && watched_head == Some(activity.begun());
        return if unfinished {
            Verdict::End(End::HeadTimeout)
        } else {
            Verdict::Fine
        };
    }
    if activity.take_moved() {
        Verdict::Fine
    } else if activity.is_write_blocked() {
        Verdict::End(End::Stalled)
    } else if !activity.is_between_requests() {
        Verdict::Fine
    } else if draining {
        Verdict::End(End::Cut)
    } else {
        Verdict::Drain
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
