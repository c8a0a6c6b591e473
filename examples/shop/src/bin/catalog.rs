//! What the shop sells.

use axum::Json;
use axum::Router;
use axum::extract::Path;
use axum::routing::get;
use http::StatusCode;
use shop::{Problem, Product, serve};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let routes = Router::new()
        .route("/products", get(async || Json(products())))
        .route("/products/{id}", get(product));
    serve(routes).await
}

async fn product(Path(id): Path<String>) -> Result<Json<Product>, Problem> {
    match products().into_iter().find(|product| product.id == id) {
        Some(product) => Ok(Json(product)),
        None => Err(Problem::new(
            StatusCode::NOT_FOUND,
            format!("there is no product called `{id}`"),
        )),
    }
}

fn products() -> Vec<Product> {
    [
        ("kettle", "Kettle", "🫖", 3490),
        ("lamp", "Desk lamp", "💡", 4250),
        ("bicycle", "Bicycle", "🚲", 64900),
        ("umbrella", "Umbrella", "☂️", 1890),
        ("guitar", "Guitar", "🎸", 22900),
        ("cactus", "Cactus", "🌵", 990),
    ]
    .map(|(id, name, picture, price_cents)| Product {
        id: id.to_owned(),
        name: name.to_owned(),
        picture: picture.to_owned(),
        price_cents,
    })
    .into()
}
