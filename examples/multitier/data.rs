//! The data tier: keeps the guest book, in memory.
use std::sync::{Arc, Mutex, PoisonError};

use axum::{Json, Router, extract::State, routing::get};
use tokio::net::TcpListener;

/// Older entries are forgotten.
const ENTRIES_MAX: usize = 1000;

type Book = Arc<Mutex<Vec<String>>>;

async fn list(State(book): State<Book>) -> Json<Vec<String>> {
    Json(book.lock().unwrap_or_else(PoisonError::into_inner).clone())
}

async fn add(State(book): State<Book>, Json(entry): Json<String>) -> Json<usize> {
    let mut book = book.lock().unwrap_or_else(PoisonError::into_inner);
    book.insert(0, entry);
    book.truncate(ENTRIES_MAX);
    Json(book.len())
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let routes = Router::new().route("/entries", get(list).post(add));
    let listener = TcpListener::bind(format!("127.0.0.1:{}", std::env::var("PORT")?)).await?;
    Ok(axum::serve(listener, routes.with_state(Book::default())).await?)
}
