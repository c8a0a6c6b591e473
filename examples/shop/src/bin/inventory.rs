//! What is on the shelves. It is kept in state: every replica sees the same shelves, and a restart does not fill them.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::routing::{get, post};
use axum::{Json, Router};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use shop::{Change, Dapr, Kept, Problem, Purchase, Reservation, Reserved, Saved, Stock, knob, serve};

/// How long a reservation is remembered, to tell a repeated one from a new one.
const RESERVATION_SECONDS: u32 = 24 * 3_600;

/// How often a reservation is decided anew because others were faster.
const ATTEMPTS: usize = 20;

#[derive(Clone)]
struct Inventory {
    dapr: Dapr,
    /// Of each product after a delivery.
    full: u32,
}

/// What is left of a product.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Shelf {
    product: String,
    left: u32,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let inventory = Inventory {
        dapr: Dapr::from_env()?,
        full: knob("INVENTORY_STOCK", 500)?,
    };
    let routes = Router::new()
        .route("/stock", get(stock))
        .route("/reservations", post(reserve))
        .with_state(inventory);
    serve(routes).await
}

async fn stock(State(inventory): State<Inventory>) -> Result<Json<BTreeMap<String, u32>>, Problem> {
    let shelves = json!({ "filter": { "GTE": { "left": 0 } } });
    let shelves: Vec<Shelf> = inventory.dapr.found(&shelves).await?;
    Ok(Json(
        shelves
            .into_iter()
            .map(|shelf| (shelf.product, shelf.left))
            .collect(),
    ))
}

/// Sets goods aside. Shelf and reservation are one change, made only if both are still what they were when it was decided.
async fn reserve(
    State(inventory): State<Inventory>,
    Json(reservation): Json<Reservation>,
) -> Result<Json<Reserved>, Problem> {
    let Reservation { order, purchase } = &reservation;
    let (of_order, of_product) = (
        format!("reservation-{order}"),
        format!("shelf-{}", purchase.product),
    );
    for _ in 0..ATTEMPTS {
        let known: Option<Kept<Purchase>> = inventory.dapr.kept(&of_order).await?;
        let shelf: Option<Kept<Shelf>> = inventory.dapr.kept(&of_product).await?;
        let left = shelf.as_ref().map_or(inventory.full, |shelf| shelf.value.left);
        let decision = decide(
            &reservation,
            known.map(|known| known.value).as_ref(),
            left,
            inventory.full,
        )?;
        let left = match decision {
            Decision::Known => {
                return Ok(Json(Reserved {
                    stock: Stock::Reserved,
                }));
            }
            Decision::Take { left } | Decision::Refill { left } => left,
        };
        let product = purchase.product.clone();
        let mut values = vec![Saved::instead_of(
            &of_product,
            &Shelf { product, left },
            shelf.as_ref(),
        )?];
        if let Decision::Take { .. } = decision {
            let reserved = Saved::instead_of(&of_order, purchase, None)?;
            values.push(reserved.for_seconds(RESERVATION_SECONDS));
        }
        match (inventory.dapr.save(values).await?, decision) {
            (Change::Overtaken, _) => {}
            (Change::Made, Decision::Refill { .. }) => {
                let text = format!("`{}` is sold out, more comes any moment", purchase.product);
                return Err(Problem::new(StatusCode::CONFLICT, text));
            }
            (Change::Made, _) => {
                return Ok(Json(Reserved {
                    stock: Stock::Reserved,
                }));
            }
        }
    }
    let text = format!("too many want `{}` at once", purchase.product);
    Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, text))
}

/// What is to be done about a reservation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Decision {
    /// Nothing: it is done already.
    Known,
    /// Goods are taken, so many stay.
    Take { left: u32 },
    /// They are sold out. A delivery comes at once, so that only one shopper is turned away.
    Refill { left: u32 },
}

/// Sets goods aside once per order, however often it is asked. Pure.
fn decide(
    reservation: &Reservation,
    known: Option<&Purchase>,
    left: u32,
    full: u32,
) -> Result<Decision, Problem> {
    let Reservation { order, purchase } = reservation;
    match known {
        Some(reserved) if reserved == purchase => Ok(Decision::Known),
        Some(_) => {
            let text = format!("order `{order}` has reserved something else");
            Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text))
        }
        None => Ok(match left.checked_sub(purchase.quantity) {
            Some(left) => Decision::Take { left },
            None => Decision::Refill { left: full },
        }),
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
        let order_a = order("a", 2);
        let first = decide(&order_a, None, 3, 3).map_err(|problem| problem.status);
        assert_eq!(first, Ok(Decision::Take { left: 1 }));
        let again = decide(&order_a, Some(&order_a.purchase), 1, 3).map_err(|problem| problem.status);
        assert_eq!(again, Ok(Decision::Known));
        let other = decide(&order("a", 1), Some(&order_a.purchase), 1, 3).map_err(|problem| problem.status);
        assert_eq!(other, Err(StatusCode::UNPROCESSABLE_ENTITY));
    }

    #[test]
    fn sold_out_calls_in_a_delivery() {
        let refused = decide(&order("b", 2), None, 1, 3).map_err(|problem| problem.status);
        assert_eq!(refused, Ok(Decision::Refill { left: 3 }));
    }
}
