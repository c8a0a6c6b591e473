//! People in the shop: most look around, some buy. See [`Habits::from_env`] for what can be turned.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use http::HeaderValue;
use shop::{Answer, Arrivals, Context, Dapr, Outcome, Problem, Product, Purchase, Tally, knob};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep_until};

/// The most shoppers in the shop at a time.
const SHOPPERS_MAX: usize = 2_000;

struct Habits {
    arrivals: Arrivals,
    /// The share of shoppers that buy.
    buy: f64,
    seed: u64,
    /// The time between two summaries.
    summary_every: Duration,
}

impl Habits {
    /// Reads `SHOPPERS_RATE` (per second), `SHOPPERS_BUY` (share, 0 to 1), `SHOPPERS_BURST_EVERY_S`,
    /// `SHOPPERS_BURST_FOR_S` (seconds), `SHOPPERS_BURST_FACTOR`, `SHOPPERS_SUMMARY_EVERY_S`, and `SHOPPERS_SEED`.
    fn from_env() -> anyhow::Result<Self> {
        let arrivals = Arrivals {
            rate: knob("SHOPPERS_RATE", 50.0)?,
            burst_every: Duration::from_secs(knob("SHOPPERS_BURST_EVERY_S", 60)?),
            burst_for: Duration::from_secs(knob("SHOPPERS_BURST_FOR_S", 5)?),
            burst_factor: knob("SHOPPERS_BURST_FACTOR", 8.0)?,
        };
        ensure!(
            arrivals.rate > 0.0 && arrivals.burst_factor > 0.0,
            "SHOPPERS_RATE and SHOPPERS_BURST_FACTOR must be above 0"
        );
        Ok(Self {
            arrivals,
            buy: knob("SHOPPERS_BUY", 0.2)?,
            seed: knob("SHOPPERS_SEED", 1)?,
            summary_every: Duration::from_secs(knob("SHOPPERS_SUMMARY_EVERY_S", 10)?.max(1)),
        })
    }
}

#[derive(Clone)]
struct Shopper {
    dapr: Dapr,
    tally: Arc<Mutex<Tally>>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let habits = Habits::from_env()?;
    let shopper = Shopper {
        dapr: Dapr::from_env()?,
        tally: Arc::default(),
    };
    let summary_every = habits.summary_every;
    tokio::select! {
        () = open(habits, &shopper) => (),
        () = report(&shopper, summary_every) => (),
    }
    Ok(())
}

/// Lets shoppers in, each at their time, whatever became of those before.
async fn open(habits: Habits, shopper: &Shopper) {
    let mut rng = fastrand::Rng::with_seed(habits.seed);
    let mut inside = JoinSet::new();
    let opened = Instant::now();
    let mut next = opened;
    loop {
        next += habits.arrivals.gap(next - opened, &mut rng);
        sleep_until(next).await;
        while inside.try_join_next().is_some() {}
        if inside.len() < SHOPPERS_MAX {
            inside.spawn(shopper.clone().shop(rng.f64() < habits.buy, rng.u64(..)));
        } else {
            shopper.with_tally(Tally::add_not_sent);
        }
    }
}

#[expect(clippy::print_stdout, reason = "the summary is what this program is for")]
async fn report(shopper: &Shopper, every: Duration) {
    let mut ticks = interval(every);
    ticks.tick().await;
    loop {
        ticks.tick().await;
        let tally = shopper.with_tally(std::mem::take);
        println!("{}", tally.summary(every));
    }
}

impl Shopper {
    fn with_tally<T>(&self, change: impl FnOnce(&mut Tally) -> T) -> T {
        change(&mut self.tally.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// One visit. `dice` decides what is liked, and names the order.
    async fn shop(self, buys: bool, dice: u64) {
        let browsing = Context::of_priority("low");
        let products = self
            .ask(self.dapr.get("storefront", "api/products", &browsing))
            .await;
        let products: Vec<Product> = products.and_then(|answer| answer.json()).unwrap_or_default();
        let liked = usize::try_from(dice % 97).unwrap_or_default() % products.len().max(1);
        let Some(liked) = products.into_iter().nth(liked) else {
            return;
        };
        let method = format!("api/products/{}", liked.id);
        let _ = self.ask(self.dapr.get("storefront", &method, &browsing)).await;
        if !buys {
            return;
        }
        let Ok(key) = HeaderValue::from_str(&format!("{dice:016x}")) else {
            return;
        };
        let buying = Context::of_priority("critical").with_idempotency_key(&key);
        let purchase = Purchase {
            product: liked.id,
            quantity: 1,
        };
        let _ = self
            .ask(self.dapr.post("storefront", "api/orders", &purchase, &buying))
            .await;
    }

    /// Waits for an answer and counts it.
    async fn ask(&self, call: impl Future<Output = Result<Answer, Problem>>) -> Result<Answer, Problem> {
        let asked = Instant::now();
        let answer = call.await;
        self.with_tally(|tally| tally.add(Outcome::of(&answer), asked.elapsed()));
        answer
    }
}
