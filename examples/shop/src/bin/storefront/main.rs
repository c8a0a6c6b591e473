//! The shop's front: a page for people and the JSON behind it.

mod carts;

use axum::extract::{Path, State};
use axum::response::Html;
use axum::routing::{get, post, put};
use axum::{Json, Router};
use http::{HeaderMap, HeaderValue, StatusCode};
use shop::{Context, Dapr, Order, Problem, Product, Purchase, check_id, serve};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let routes = Router::new()
        .route("/", get(async || Html(include_str!("../../storefront.html"))))
        .route("/api/products", get(products))
        .route("/api/products/{id}", get(product))
        .route("/api/orders", post(buy))
        .route("/api/carts/{shopper}", get(carts::get))
        .route("/api/carts/{shopper}/checkout", post(carts::check_out))
        .route(
            "/api/carts/{shopper}/products/{product}",
            put(carts::put).delete(carts::remove),
        )
        .with_state(Dapr::from_env()?);
    serve(routes).await
}

async fn products(State(dapr): State<Dapr>, context: Context) -> Result<Json<Vec<Product>>, Problem> {
    let answer = dapr.get("catalog", "products", &context).await?;
    Ok(Json(answer.json()?))
}

async fn product(
    State(dapr): State<Dapr>,
    Path(id): Path<String>,
    context: Context,
) -> Result<Json<Product>, Problem> {
    check_id(&id)?;
    let answer = dapr.get("catalog", &format!("products/{id}"), &context).await?;
    Ok(Json(answer.json()?))
}

/// Places an order. Sent again with the same `idempotency-key` it is the same order, and tells how far it has come.
async fn buy(
    State(dapr): State<Dapr>,
    context: Context,
    headers: HeaderMap,
    Json(purchase): Json<Purchase>,
) -> Result<(StatusCode, Json<Order>), Problem> {
    let key = match headers.get("idempotency-key") {
        Some(key) => key.clone(),
        None => HeaderValue::from_str(&format!("{:032x}", fastrand::u128(..))).map_err(Problem::bug)?,
    };
    let answer = dapr
        .post("orders", "orders", &purchase, &context.with_idempotency_key(&key))
        .await?;
    Ok((answer.status, Json(answer.json()?)))
}
