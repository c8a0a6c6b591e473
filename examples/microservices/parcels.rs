//! Takes parcels: asks for a price and a tracking number, both at once.
use axum::http::StatusCode;
use axum::{Json, Router, extract::State, routing::post};
use dapr::{Client, client::TonicClientWithAuth};
use prost_types::Any;
use serde_json::Value;
use tokio::net::TcpListener;

type Dapr = Client<TonicClientWithAuth>;
type Failure = (StatusCode, String);

async fn ask(mut dapr: Dapr, app: &str, method: &str, question: &Value) -> Result<Value, Failure> {
    let value = question.to_string().into_bytes();
    let question = Any {
        value,
        ..Any::default()
    };
    let answer = dapr.invoke_service(app, method, Some(question)).await;
    let answer = answer.map_err(|error| (StatusCode::BAD_GATEWAY, error.to_string()))?;
    let body = answer.data.unwrap_or_default().value;
    serde_json::from_slice(&body).map_err(|error| (StatusCode::BAD_GATEWAY, error.to_string()))
}

async fn send(State(dapr): State<Dapr>, Json(parcel): Json<Value>) -> Result<Json<Value>, Failure> {
    let (quote, tracking) = tokio::try_join!(
        ask(dapr.clone(), "quotes", "quote", &parcel),
        ask(dapr.clone(), "tracking", "register", &parcel),
    )?;
    Ok(Json(
        serde_json::json!({ "parcel": parcel, "quote": quote, "tracking": tracking }),
    ))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let routes = Router::new().route("/parcels", post(send));
    let listener = TcpListener::bind(format!("127.0.0.1:{}", std::env::var("PORT")?)).await?;
    Ok(axum::serve(listener, routes.with_state(Client::new().await?)).await?)
}
