//! Orders: what is bought, set aside and paid.
//!
//! An order is named by its idempotency key, and so are the reservation and the charge made for it. So a repeated request
//! is harmless. How far an order has come is kept in state, where every replica finds it, also after a restart.

use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::json;
use shop::{
    Change, Charge, Charged, Context, Dapr, Kept, Order, Payment, Problem, Product, Purchase, Reservation,
    Reserved, Saved, Stock, serve,
};
use tokio::time::{MissedTickBehavior, interval};

/// How long an order is remembered.
const ORDER_SECONDS: u32 = 24 * 3_600;
/// The longest name of an order, in bytes.
const KEY_MAX: usize = 100;
/// How many pending orders are tried again at a time.
const SETTLED_AT_A_TIME: usize = 20;

#[derive(Clone)]
struct Orders {
    dapr: Dapr,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let orders = Orders {
        dapr: Dapr::from_env()?,
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
    let known: Option<Kept<Order>> = orders.dapr.kept(&name(&key)).await?;
    let mut order = match &known {
        Some(known) if known.value.purchase != purchase => {
            let text = format!("`{key}` is the key of another order");
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text));
        }
        Some(known) => known.value.clone(),
        None => orders.price(key, purchase, &context).await?,
    };
    orders.fulfil(&mut order, known.as_ref(), &context).await?;
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

/// The name of an order in state. A key may be any text, and a name is part of a path.
fn name(key: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let escaped = key.bytes().map(|byte| {
        if plain(byte) {
            char::from(byte).to_string()
        } else {
            format!("%{byte:02X}")
        }
    });
    format!("order-{}", escaped.collect::<String>())
}

impl Orders {
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

    /// Does what is left to be done for `order`, as far as it goes now, and keeps it in place of what was `known` of it.
    async fn fulfil(
        &self,
        order: &mut Order,
        known: Option<&Kept<Order>>,
        context: &Context,
    ) -> Result<(), Problem> {
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
        if known.is_some_and(|known| known.value == *order) {
            return Ok(());
        }
        let kept = Saved::instead_of(&format!("order-{}", order.id), order, known)?;
        match self.dapr.save(vec![kept.for_seconds(ORDER_SECONDS)]).await? {
            // Who was faster did the same, with the same keys: nothing was done twice.
            Change::Made | Change::Overtaken => Ok(()),
        }
    }

    /// Goes on with pending orders, some at a time, until the program ends.
    async fn settle(self) {
        let mut ticks = interval(Duration::from_secs(2));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            let pending = json!({
                "filter": { "OR": [{ "EQ": { "stock": "later" } }, { "EQ": { "payment": "pending" } }] },
                "page": { "limit": SETTLED_AT_A_TIME },
            });
            let pending: Vec<Order> = self.dapr.found(&pending).await.unwrap_or_default();
            for order in pending {
                // What fails now is tried again at the next tick.
                let _ = self.settle_one(&order).await;
            }
        }
    }

    async fn settle_one(&self, order: &Order) -> Result<(), Problem> {
        let Some(known) = self.dapr.kept::<Order>(&name(&order.id)).await? else {
            return Ok(());
        };
        let mut order = known.value.clone();
        let context = Context::of_priority("bulk");
        self.fulfil(&mut order, Some(&known), &context).await
    }
}
