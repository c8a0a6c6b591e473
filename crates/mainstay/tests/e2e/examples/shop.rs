//! `examples/shop`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use http::Method;
use rustix::process::{Signal, kill_process};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{check, example, kill_all, pid};
use crate::harness::http::Answer;
use crate::harness::system::Builder;
use crate::harness::{Client, System, eventually};

const SERVICES: [&str; 5] = ["storefront", "catalog", "orders", "inventory", "payments"];

/// The shop with a payment provider that behaves, and few shoppers who only look around.
fn shop() -> Option<Builder> {
    let programs = [&SERVICES[..], &["shoppers"]].concat();
    let quiet = [
        ("PAYMENTS_FAIL", "0"),
        ("PAYMENTS_SLOW", "0"),
        ("PAYMENTS_OUTAGE_EVERY_S", "0"),
        ("SHOPPERS_RATE", "5"),
        ("SHOPPERS_BUY", "0"),
        ("SHOPPERS_BURST_EVERY_S", "0"),
        ("SHOPPERS_SUMMARY_EVERY_S", "2"),
    ];
    let shop = example("shop", &programs)?;
    Some(
        quiet
            .iter()
            .fold(shop, |shop, (name, value)| shop.env(name, value)),
    )
}

async fn buy(front: &Client, product: &str, key: &str) -> Result<Answer, String> {
    let buyer = front
        .clone()
        .with("idempotency-key", key)
        .with("content-type", "application/json");
    let body = format!(r#"{{"product": "{product}"}}"#);
    buyer.attempt(Method::POST, "/api/orders", body.into()).await
}

/// Shoppers who look around and buy until they are told to stop. Each request can be repeated, so none may fail.
struct Shoppers {
    closed: Arc<AtomicBool>,
    served: Arc<AtomicUsize>,
    visits: JoinSet<Vec<String>>,
}

impl Shoppers {
    fn enter(front: &Client) -> Self {
        let (closed, served) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let mut visits = JoinSet::new();
        for shopper in 0..4 {
            let (front, closed, served) = (front.clone(), Arc::clone(&closed), Arc::clone(&served));
            visits.spawn(async move {
                let mut failures = Vec::new();
                for visit in 0.. {
                    if closed.load(Ordering::Relaxed) {
                        break;
                    }
                    let looked = front.attempt(Method::GET, "/api/products", "".into()).await;
                    let bought = buy(&front, "lamp", &format!("{shopper}-{visit}")).await;
                    for answer in [looked, bought] {
                        match answer {
                            Ok(answer) if answer.status.is_success() => {
                                served.fetch_add(1, Ordering::Relaxed);
                            }
                            Ok(answer) => failures.push(format!("{}: {}", answer.status, answer.text())),
                            Err(error) => failures.push(error),
                        }
                    }
                }
                failures
            });
        }
        Self {
            closed,
            served,
            visits,
        }
    }

    /// Waits until so many more requests were served.
    async fn serve(&self, more: usize) {
        let goal = self.served.load(Ordering::Relaxed) + more;
        eventually("served requests", async || {
            (self.served.load(Ordering::Relaxed) >= goal).then_some(())
        })
        .await;
    }

    /// Sends everybody home; gives what went wrong.
    async fn leave(self) -> Vec<String> {
        self.closed.store(true, Ordering::Relaxed);
        self.visits.join_all().await.concat()
    }
}

#[tokio::test]
async fn its_promises_can_hold() {
    check("shop").await;
}

#[tokio::test]
async fn the_shop_sells() {
    let Some(shop) = shop() else { return };
    let system = shop.start().await;
    let front = system.ingress().await;
    assert!(front.get("/").await.text().contains("<title>Shop</title>"));
    assert_eq!(
        front.get("/api/products").await.json().as_array().map(Vec::len),
        Some(6)
    );
    assert_eq!(front.get("/api/products/no-such").await.status, 404);

    for _ in 0..3 {
        let order = buy(&front, "cactus", "the-one").await.expect("an answer");
        assert_eq!(order.status, 201, "{}", order.text());
        let order = order.json();
        assert_eq!(
            (&order["id"], &order["total_cents"]),
            (&"the-one".into(), &990.into())
        );
        assert_eq!(
            (&order["stock"], &order["payment"]),
            (&"reserved".into(), &"paid".into())
        );
    }
    let stock = system.replica("inventory", 0).await.get("/stock").await.json();
    assert_eq!(stock["cactus"], 499, "three times the same order is one order");

    let summary = system.process().line_with("requests/s").await;
    assert!(summary.contains("failed 0"), "{summary}");
}

const CART: &str = "/api/carts/ada";

/// Has so many of a product in Ada's cart; gives the cart.
async fn pick(front: &Client, product: &str, quantity: u32) -> Value {
    let front = front.clone().with("content-type", "application/json");
    let path = format!("{CART}/products/{product}");
    let body = format!(r#"{{"quantity": {quantity}}}"#);
    let cart = front.send(Method::PUT, &path, body.into()).await;
    assert_eq!(cart.status, 200, "{cart:?}");
    cart.json()
}

async fn check_out(front: &Client, key: &str) -> Answer {
    let front = front.clone().with("idempotency-key", key);
    front.post(&format!("{CART}/checkout"), "").await
}

#[tokio::test]
async fn a_cart_outlives_the_storefront_and_becomes_orders_once() {
    let Some(shop) = shop() else { return };
    let system = shop.start().await;
    let front = system.ingress().await;
    assert_eq!(front.get(CART).await.json()["lines"], json!([]));
    // Both at a time: neither is lost.
    tokio::join!(pick(&front, "lamp", 2), pick(&front, "cactus", 1));
    pick(&front, "cactus", 3).await;
    pick(&front, "guitar", 1).await;
    let removed = front
        .send(Method::DELETE, &format!("{CART}/products/guitar"), "".into())
        .await;
    assert_eq!(removed.status, 200, "{removed:?}");
    assert!(kill_all(&system, "storefront").await > 0);
    let cart = eventually("the cart is there again", async || {
        let cart = front.get(CART).await;
        (cart.status == 200).then(|| cart.json())
    })
    .await;
    let mut lines: Vec<(&str, u64)> = cart["lines"]
        .as_array()
        .expect("lines")
        .iter()
        .map(|line| {
            (
                line["product"].as_str().expect("a name"),
                line["quantity"].as_u64().expect("a number"),
            )
        })
        .collect();
    lines.sort_unstable();
    assert_eq!(lines, [("cactus", 3), ("lamp", 2)]);
    let kept = system
        .succeeds(&["state", "list", "cart-ada", "--app", "storefront", "--json"])
        .await;
    let kept: Value = serde_json::from_str(&kept).expect("JSON");
    assert!(
        kept["expires_unix_ms"].is_u64(),
        "a cart is not kept for ever: {kept}"
    );

    for _ in 0..3 {
        let placed = eventually("a checkout", async || {
            let placed = check_out(&front, "the-one").await;
            (placed.status == 201).then(|| placed.json())
        })
        .await;
        let mut ids: Vec<&str> = placed
            .as_array()
            .expect("orders")
            .iter()
            .map(|order| order["id"].as_str().expect("an order"))
            .collect();
        ids.sort_unstable();
        assert_eq!(ids, ["the-one-cactus", "the-one-lamp"]);
    }
    assert_eq!(front.get(CART).await.json()["lines"], json!([]));
    let empty = check_out(&front, "another").await;
    assert_eq!(empty.status, 409, "{empty:?}");
    let stock = system.replica("inventory", 0).await.get("/stock").await.json();
    assert_eq!((&stock["cactus"], &stock["lamp"]), (&497.into(), &498.into()));
}

#[tokio::test]
async fn shoppers_fill_carts_and_check_out() {
    let Some(shop) = shop() else { return };
    let system = shop.env("SHOPPERS_BUY", "1").start().await;
    for prefix in ["checkout-", "cart-"] {
        eventually(prefix, async || {
            let kept = system
                .succeeds(&["state", "list", prefix, "--app", "storefront", "--json"])
                .await;
            (!kept.is_empty()).then_some(())
        })
        .await;
    }
    let summary = system.process().line_with("requests/s").await;
    assert!(summary.contains("failed 0"), "{summary}");
    let caches = system.succeeds(&["cache", "list", "--json"]).await;
    let caches: Value = serde_json::from_str(&caches).expect("JSON");
    let catalog = &caches["caches"][0];
    assert_eq!(catalog["name"], "storefront->catalog");
    assert!(catalog["hits"].as_u64().expect("a number") > 0, "{catalog}");
}

#[tokio::test]
async fn killing_any_replica_fails_no_idempotent_request() {
    let Some(shop) = shop() else { return };
    let system = shop.start().await;
    let shoppers = Shoppers::enter(&system.ingress().await);
    shoppers.serve(20).await;
    for app in SERVICES {
        for replica in system.replicas(app).await {
            kill_process(pid(&replica).expect("it runs"), Signal::KILL).expect("it is ours");
            shoppers.serve(20).await;
            let name = replica["replica"].clone();
            let is_back = |now: &Value| {
                now["replica"] == name && now["state"] == "ready" && now["pid"] != replica["pid"]
            };
            system
                .replicas_become(app, "is back", |replicas| replicas.iter().any(is_back))
                .await;
        }
    }
    let failures = shoppers.leave().await;
    assert!(failures.is_empty(), "{failures:#?}");
}

#[tokio::test]
async fn without_payments_storefront_keeps_its_promise_with_marked_fallbacks() {
    let Some(shop) = shop() else { return };
    let system = Arc::new(shop.start().await);
    let killer = tokio::spawn({
        let system = Arc::clone(&system);
        async move {
            loop {
                kill_all(&system, "payments").await;
            }
        }
    });
    let front = system.ingress().await;
    let pending = eventually("an order without payment", async || {
        let order = buy(&front, "guitar", "pending").await.expect("an answer");
        (order.status == 202).then_some(order)
    })
    .await;
    assert_eq!(pending.json()["payment"], "pending", "{}", pending.text());

    let shoppers = Shoppers::enter(&front);
    shoppers.serve(400).await;
    let failures = shoppers.leave().await;
    assert!(failures.is_empty(), "{failures:#?}");
    assert_keeps_its_promise(&system).await;

    killer.abort();
    // Whoever asks again, asks for the same order: it is paid once the provider is back.
    eventually("the order is paid", async || {
        let order = buy(&front, "guitar", "pending").await.expect("an answer");
        (order.status == 201).then_some(())
    })
    .await;
}

/// Storefront promises 99 of 100 answers within a second, and 99.8 % good ones.
async fn assert_keeps_its_promise(system: &System) {
    let metrics = system.metrics().await;
    let calls = [("caller", "ingress"), ("target", "storefront")];
    let total = metrics.sum("mainstay_call_duration_seconds_count", &calls);
    let in_time = metrics.sum(
        "mainstay_call_duration_seconds_bucket",
        &[&calls[..], &[("le", "1")]].concat(),
    );
    assert!(total >= 400, "{total} calls");
    assert!(
        in_time * 100 >= total * 99,
        "{in_time} of {total} within a second"
    );
    let errors = metrics.sum("mainstay_call_errors_total", &calls);
    assert!(errors * 1000 <= total * 2, "{errors} of {total} failed");
    let fallbacks = [("caller", "orders"), ("target", "payments")];
    let fallbacks = metrics.sum("mainstay_fallbacks_total", &fallbacks);
    assert!(fallbacks > 0, "{fallbacks} fallbacks");
}
