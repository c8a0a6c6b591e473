//! Stands in for a payment provider nobody would choose: on purpose, it is slow, it fails now and then, and once in a
//! while it is down for some seconds. All of it can be turned with variables, see [`Manners::from_env`].

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use http::StatusCode;
use shop::{Charge, Charged, Memory, Payment, Problem, knob, serve};
use tokio::time::{Instant, sleep};

/// How many charges are remembered, so that nobody pays twice.
const CHARGES_MAX: usize = 10_000;

#[derive(Clone)]
struct Provider {
    started: Instant,
    manners: Arc<Mutex<Manners>>,
    charges: Arc<Mutex<Memory<u64>>>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let provider = Provider {
        started: Instant::now(),
        manners: Arc::new(Mutex::new(Manners::from_env()?)),
        charges: Arc::new(Mutex::new(Memory::new(CHARGES_MAX))),
    };
    serve(Router::new().route("/charges", post(charge)).with_state(provider)).await
}

async fn charge(
    State(provider): State<Provider>,
    Json(charge): Json<Charge>,
) -> Result<Json<Charged>, Problem> {
    let paid = Json(Charged {
        payment: Payment::Paid,
    });
    let charged = lock(&provider.charges).get(&charge.order).copied();
    match charged {
        Some(amount_cents) if amount_cents == charge.amount_cents => return Ok(paid),
        Some(_) => {
            let text = format!("order `{}` has paid another amount", charge.order);
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text));
        }
        None => (),
    }
    let (takes, works) = lock(&provider.manners).next(provider.started.elapsed());
    sleep(takes).await;
    if !works {
        let text = "the bank does not answer";
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, text));
    }
    lock(&provider.charges).put(&charge.order, charge.amount_cents);
    Ok(paid)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How badly the provider behaves.
struct Manners {
    rng: fastrand::Rng,
    fail: f64,
    slow: f64,
    outage_every: Duration,
    outage_for: Duration,
}

impl Manners {
    /// Reads `PAYMENTS_FAIL` and `PAYMENTS_SLOW` (shares of all charges, 0 to 1), `PAYMENTS_OUTAGE_EVERY_S` and
    /// `PAYMENTS_OUTAGE_FOR_S` (seconds), and `PAYMENTS_SEED`.
    fn from_env() -> anyhow::Result<Self> {
        Ok(Self {
            rng: fastrand::Rng::with_seed(knob("PAYMENTS_SEED", 1)?),
            fail: knob("PAYMENTS_FAIL", 0.03)?,
            slow: knob("PAYMENTS_SLOW", 0.005)?,
            outage_every: Duration::from_secs(knob("PAYMENTS_OUTAGE_EVERY_S", 120)?),
            outage_for: Duration::from_secs(knob("PAYMENTS_OUTAGE_FOR_S", 8)?),
        })
    }

    /// How long the next charge takes and whether it works, `elapsed` after the start.
    fn next(&mut self, elapsed: Duration) -> (Duration, bool) {
        let usual = Duration::from_millis(self.rng.u64(30..90));
        let period = self.outage_every.as_millis();
        // An outage ends each period, so that the shop begins on a good day.
        let down =
            period > 0 && elapsed.as_millis() % period >= period.saturating_sub(self.outage_for.as_millis());
        let fails = self.rng.f64() < self.fail;
        let slow = self.rng.f64() < self.slow;
        let takes = if slow { Duration::from_secs(3) } else { usual };
        (takes, !down && !fails)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manners(fail: f64, slow: f64, outage_every: u64, outage_for: u64) -> Manners {
        Manners {
            rng: fastrand::Rng::with_seed(7),
            fail,
            slow,
            outage_every: Duration::from_secs(outage_every),
            outage_for: Duration::from_secs(outage_for),
        }
    }

    #[test]
    fn shares_are_kept() {
        let mut manners = manners(0.1, 0.2, 0, 0);
        let charges: Vec<_> = (0..10_000).map(|_| manners.next(Duration::ZERO)).collect();
        let failed = charges.iter().filter(|(_, works)| !works).count();
        let slow = charges
            .iter()
            .filter(|(takes, _)| *takes > Duration::from_secs(1))
            .count();
        assert!((800..1200).contains(&failed), "{failed}");
        assert!((1800..2200).contains(&slow), "{slow}");
    }

    #[test]
    fn an_outage_ends_each_period() {
        let mut manners = manners(0.0, 0.0, 60, 10);
        for (second, up) in [
            (0, true),
            (49, true),
            (50, false),
            (59, false),
            (60, true),
            (115, false),
        ] {
            assert_eq!(manners.next(Duration::from_secs(second)).1, up, "at {second} s");
        }
    }
}
