//! What is on the shelves. It is kept in memory: an inventory that was killed begins with full shelves again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use shop::{Memory, Problem, Purchase, Reservation, Reserved, Stock, knob, serve};

/// How many reservations are remembered, to tell a repeated one from a new one.
const RESERVATIONS_MAX: usize = 10_000;

type Shared = Arc<Mutex<Shelves>>;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let shelves = Shelves::new(knob("INVENTORY_STOCK", 500)?);
    let routes = Router::new()
        .route("/stock", get(stock))
        .route("/reservations", post(reserve))
        .with_state(Arc::new(Mutex::new(shelves)));
    serve(routes).await
}

async fn stock(State(shelves): State<Shared>) -> Json<HashMap<String, u32>> {
    let shelves = shelves.lock().unwrap_or_else(PoisonError::into_inner);
    Json(shelves.left.clone())
}

async fn reserve(
    State(shelves): State<Shared>,
    Json(reservation): Json<Reservation>,
) -> Result<Json<Reserved>, Problem> {
    let mut shelves = shelves.lock().unwrap_or_else(PoisonError::into_inner);
    shelves.reserve(reservation)?;
    Ok(Json(Reserved {
        stock: Stock::Reserved,
    }))
}

struct Shelves {
    /// Of each product after a delivery.
    full: u32,
    left: HashMap<String, u32>,
    reservations: Memory<Purchase>,
}

impl Shelves {
    fn new(full: u32) -> Self {
        Self {
            full,
            left: HashMap::new(),
            reservations: Memory::new(RESERVATIONS_MAX),
        }
    }

    /// Sets goods aside, once per order however often it is asked. When they are sold out a delivery comes at once, so
    /// that only one shopper is turned away.
    fn reserve(&mut self, reservation: Reservation) -> Result<(), Problem> {
        let Reservation { order, purchase } = reservation;
        match self.reservations.get(&order) {
            Some(reserved) if *reserved == purchase => return Ok(()),
            Some(_) => {
                let text = format!("order `{order}` has reserved something else");
                return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text));
            }
            None => (),
        }
        let left = self.left.entry(purchase.product.clone()).or_insert(self.full);
        let Some(rest) = left.checked_sub(purchase.quantity) else {
            *left = self.full;
            let text = format!("`{}` is sold out, more comes any moment", purchase.product);
            return Err(Problem::new(StatusCode::CONFLICT, text));
        };
        *left = rest;
        self.reservations.put(&order, purchase);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(id: &str, quantity: u32) -> Reservation {
        Reservation {
            order: id.to_owned(),
            purchase: Purchase {
                product: "lamp".to_owned(),
                quantity,
            },
        }
    }

    #[test]
    fn goods_are_set_aside_once_per_order() {
        let mut shelves = Shelves::new(3);
        for _ in 0..2 {
            assert!(shelves.reserve(order("a", 2)).is_ok());
            assert_eq!(shelves.left["lamp"], 1);
        }
        let other = shelves.reserve(order("a", 1)).map_err(|problem| problem.status);
        assert_eq!(other, Err(StatusCode::UNPROCESSABLE_ENTITY));
    }

    #[test]
    fn sold_out_calls_in_a_delivery() {
        let mut shelves = Shelves::new(3);
        assert!(shelves.reserve(order("a", 2)).is_ok());
        let refused = shelves.reserve(order("b", 2)).map_err(|problem| problem.status);
        assert_eq!(refused, Err(StatusCode::CONFLICT));
        assert!(shelves.reserve(order("b", 2)).is_ok());
        assert_eq!(shelves.left["lamp"], 1);
    }
}
