//! Orders: what is bought, set aside and paid.
//!
//! An order is named by its idempotency key, and so are the reservation and the charge made for it. So a repeated request
//! is harmless even when it meets another replica, which has never heard of the order: the inventory and the payment
//! provider have.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use http::{HeaderMap, HeaderValue, StatusCode};
use shop::{
    Charge, Charged, Context, Dapr, Memory, Order, Payment, Problem, Product, Purchase, Reservation,
    Reserved, Stock, serve,
};
use tokio::time::{MissedTickBehavior, interval};

/// How many orders a replica remembers.
const ORDERS_MAX: usize = 10_000;
/// The longest name of an order, in bytes.
const KEY_MAX: usize = 100;
/// How many pending orders are tried again at a time.
const SETTLED_AT_A_TIME: usize = 20;

#[derive(Clone)]
struct Orders {
    dapr: Dapr,
    book: Arc<Mutex<Memory<Order>>>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let orders = Orders {
        dapr: Dapr::from_env()?,
        book: Arc::new(Mutex::new(Memory::new(ORDERS_MAX))),
    };
    let settling = tokio::spawn(orders.clone().settle());
    let routes = Router::new().route("/orders", post(place)).with_state(orders);
    let served = serve(routes).await;
    settling.abort();
    served
}

async fn place(
    State(orders): State<Orders>,
    context: Context,
    headers: HeaderMap,
    Json(purchase): Json<Purchase>,
) -> Result<(StatusCode, Json<Order>), Problem> {
    let key = key(&headers)?;
    purchase.check()?;
    let known = orders.book().get(&key).cloned();
    let mut order = match known {
        Some(order) if order.purchase != purchase => {
            let text = format!("`{key}` is the key of another order");
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text));
        }
        Some(order) => order,
        None => orders.price(key, purchase, &context).await?,
    };
    orders.fulfil(&mut order, &context).await?;
    let status = if order.is_pending() {
        StatusCode::ACCEPTED
    } else {
        StatusCode::CREATED
    };
    Ok((status, Json(order)))
}

fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let key = headers
        .get("idempotency-key")
        .and_then(|key| key.to_str().ok())
        .filter(|key| (1..=KEY_MAX).contains(&key.len()));
    match key {
        Some(key) => Ok(key.to_owned()),
        None => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            format!("an order needs an idempotency-key of 1 to {KEY_MAX} characters"),
        )),
    }
}

impl Orders {
    fn book(&self) -> MutexGuard<'_, Memory<Order>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new order, of which nothing is done yet.
    async fn price(&self, id: String, purchase: Purchase, context: &Context) -> Result<Order, Problem> {
        let method = format!("products/{}", purchase.product);
        let product: Product = self.dapr.get("catalog", &method, context).await?.json()?;
        Ok(Order {
            id,
            total_cents: product.price_cents * u64::from(purchase.quantity),
            purchase,
            stock: Stock::Later,
            payment: Payment::Pending,
        })
    }

    /// Does what is left to be done for `order`, as far as it goes now, and remembers it.
    async fn fulfil(&self, order: &mut Order, context: &Context) -> Result<(), Problem> {
        let key = HeaderValue::from_str(&order.id).map_err(Problem::bug)?;
        let context = context.with_idempotency_key(&key);
        if order.stock == Stock::Later {
            let reservation = Reservation {
                order: order.id.clone(),
                purchase: order.purchase.clone(),
            };
            let answer = self
                .dapr
                .post("inventory", "reservations", &reservation, &context);
            order.stock = answer.await?.json::<Reserved>()?.stock;
        }
        if order.payment == Payment::Pending {
            let charge = Charge {
                order: order.id.clone(),
                amount_cents: order.total_cents,
            };
            let answer = self.dapr.post("payments", "charges", &charge, &context);
            order.payment = answer.await?.json::<Charged>()?.payment;
        }
        self.book().put(&order.id, order.clone());
        Ok(())
    }

    /// Goes on with pending orders, some at a time, until the program ends.
    async fn settle(self) {
        let mut ticks = interval(Duration::from_secs(2));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let pending: Vec<Order> = self
                .book()
                .values()
                .filter(|order| order.is_pending())
                .take(SETTLED_AT_A_TIME)
                .cloned()
                .collect();
            for mut order in pending {
                // What fails now is tried again at the next tick.
                let _ = self.fulfil(&mut order, &Context::of_priority("bulk")).await;
            }
        }
    }
}
