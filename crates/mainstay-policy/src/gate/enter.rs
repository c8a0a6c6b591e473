//! The wait for a place.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use mainstay_base::Priority;

use super::class::Ticket;
use super::{Gate, Permit, Refusal};

/// The wait for a place: see [`Gate::enter`].
#[derive(Debug)]
#[must_use = "a future does nothing unless it is polled"]
pub struct Enter {
    gate: Arc<Gate>,
    priority: Priority,
    state: State,
}

#[derive(Debug)]
enum State {
    New,
    Waits(Ticket),
    Done,
}

/// How a call came in.
pub(super) enum Arrived {
    Entered,
    Refused(Refusal),
    Waits(Ticket),
}

impl Enter {
    pub(super) fn new(gate: Arc<Gate>, priority: Priority) -> Self {
        Self {
            gate,
            priority,
            state: State::New,
        }
    }

    fn permit(&self) -> Permit {
        Permit {
            gate: self.gate.clone(),
        }
    }
}

impl Future for Enter {
    type Output = Result<Permit, Refusal>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        if matches!(self.state, State::New) {
            match self.gate.arrive(self.priority) {
                Arrived::Waits(ticket) => self.state = State::Waits(ticket),
                Arrived::Entered => {
                    self.state = State::Done;
                    return Poll::Ready(Ok(self.permit()));
                }
                Arrived::Refused(refusal) => {
                    self.state = State::Done;
                    return Poll::Ready(Err(refusal));
                }
            }
        }
        let State::Waits(ticket) = self.state else {
            return Poll::Pending;
        };
        let decision = self
            .gate
            .poll_ticket(ticket, self.priority, context.waker().clone());
        let Some(decision) = decision else {
            return Poll::Pending;
        };
        self.state = State::Done;
        Poll::Ready(decision.map(|()| self.permit()))
    }
}

impl Drop for Enter {
    fn drop(&mut self) {
        if let State::Waits(ticket) = self.state {
            self.gate.forget(ticket, self.priority);
        }
    }
}
