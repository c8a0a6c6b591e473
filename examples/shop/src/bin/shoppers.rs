//! People in the shop: most look around, some buy. See [`Habits::from_env`] for what can be turned.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::ensure;
use http::HeaderValue;
use serde_json::json;
use shop::{Answer, Arrivals, Context, Dapr, Outcome, Problem, Product, Tally, knob};
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep_until};

/// The most products that one of them picks.
const CART_MAX: u64 = 2;

/// One in so many of those who do not buy fills a cart all the same.
const CHANGES_MIND: u64 = 20;

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

    /// One visit. `dice` decides what is liked, and names shopper and checkout.
    async fn shop(self, buys: bool, dice: u64) {
        let browsing = Context::of_priority("low");
        let products = self
            .ask(self.dapr.get("storefront", "api/products", &browsing))
            .await;
        let products: Vec<Product> = products.and_then(|answer| answer.json()).unwrap_or_default();
        let first = usize::try_from(dice % 97).unwrap_or_default();
        let count = usize::try_from(dice / 97 % CART_MAX).unwrap_or_default() + 1;
        let liked = products.iter().cycle().skip(first % products.len().max(1));
        let liked: Vec<&Product> = liked.take(count.min(products.len())).collect();
        let Some(best) = liked.first() else {
            return;
        };
        let method = format!("api/products/{}", best.id);
        let _ = self.ask(self.dapr.get("storefront", &method, &browsing)).await;
        if !buys && !dice.is_multiple_of(CHANGES_MIND) {
            return;
        }
        let cart = format!("api/carts/{dice:016x}");
        let picking = Context::of_priority("normal");
        for product in liked {
            let method = format!("{cart}/products/{}", product.id);
            let wanted = json!({ "quantity": 1 });
            let _ = self
                .ask(self.dapr.put("storefront", &method, &wanted, &picking))
                .await;
        }
        // Some leave a cart behind, which is forgotten after a day.
        if buys {
            self.check_out(&cart, dice).await;
        }
    }

    async fn check_out(&self, cart: &str, dice: u64) {
        let Ok(key) = HeaderValue::from_str(&format!("{dice:016x}")) else {
            return;
        };
        let buying = Context::of_priority("critical").with_idempotency_key(&key);
        let method = format!("{cart}/checkout");
        let _ = self
            .ask(self.dapr.post("storefront", &method, &json!({}), &buying))
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
