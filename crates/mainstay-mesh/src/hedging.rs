//! Hedging: a second attempt at another replica before the first has failed; the better answer counts.

use std::time::Duration;

use mainstay_base::Clock;
use mainstay_policy::Outcome;

use crate::call::Answered;
use crate::choose::Choice;
use crate::exchange::{Failure, Terms};
use crate::flow::Flow;
use crate::mesh::Inner;
use crate::record::AttemptRecord;

impl Inner {
    /// Makes `attempt`, and a second one once it takes longer than nearly all others did. The one that is not needed is
    /// given up.
    pub(crate) async fn send_hedged(
        &self,
        flow: &mut Flow,
        attempt: AttemptRecord,
    ) -> Result<Answered, Failure> {
        let edge = flow.edge.clone();
        let Some(hedge) = &edge.state.hedge else {
            return Err(crate::Reason::Internal.into());
        };
        let started = attempt.started;
        let delay = hedge.delay(started);
        // What can be hedged has no body that is still on its way.
        let terms = Terms {
            upload: None,
            ..flow.terms()
        };
        let mut request = Some(flow.outgoing.request(&edge, true, self.clock)?);
        let mut first = std::pin::pin!(self.perform(terms, attempt, &mut request));
        let result = match tokio::time::timeout(delay, first.as_mut()).await {
            Ok(result) => result,
            Err(_) => match self.second(flow) {
                None => first.await,
                Some(attempt) => {
                    edge.stats.hedges.increment();
                    let mut request = Some(flow.outgoing.request(&edge, true, self.clock)?);
                    let mut second = std::pin::pin!(self.perform(terms, attempt, &mut request));
                    tokio::select! {
                        biased;
                        result = first.as_mut() => self.better(result, second).await,
                        result = second.as_mut() => self.better(result, first).await,
                    }
                }
            },
        };
        if result.as_ref().is_ok_and(is_good) {
            hedge.record(self.clock.now().since(started));
        }
        result
    }

    /// Begins the second attempt, if the budget allows it and another replica has a place.
    fn second(&self, flow: &mut Flow) -> Option<AttemptRecord> {
        let now = self.clock.now();
        let callee = flow.edge.callee.clone();
        let hedge = flow.edge.state.hedge.as_ref()?;
        if flow.only.is_some() || !callee.has_untried(&flow.tried, now) || !hedge.withdraw(now) {
            return None;
        }
        match callee.choose(&flow.tried, None, now) {
            Choice::Chosen { replica, probe } if !flow.tried.contains(&replica) => {
                Some(self.start(flow, (replica, probe), now))
            }
            Choice::Chosen { replica, .. } => {
                // Only the one that is slow already has a place.
                replica.limiter.finish(Duration::ZERO, Outcome::Cancelled, now);
                None
            }
            Choice::Full | Choice::None => None,
        }
    }

    /// The result that came first when it is good, else that of the `other`.
    async fn better(
        &self,
        result: Result<Answered, Failure>,
        other: impl Future<Output = Result<Answered, Failure>>,
    ) -> Result<Answered, Failure> {
        match result {
            Ok(answered) if is_good(&answered) => Ok(answered),
            Ok(mut answered) => {
                answered.attempt.settle(answered.outcome, self.clock.now());
                drop(answered);
                other.await
            }
            Err(_) => other.await,
        }
    }
}

fn is_good(answered: &Answered) -> bool {
    answered.outcome == Outcome::Success
}
