//! What the services tell each other, as JSON.

use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::Problem;

/// Something that is sold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    /// Its name in URLs.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// What it looks like: one emoji.
    pub picture: String,
    /// What one of it costs.
    pub price_cents: u64,
}

/// What a shopper wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Purchase {
    /// Which product.
    pub product: String,
    /// How many of it.
    #[serde(default = "one")]
    pub quantity: u32,
}

impl Purchase {
    /// Whether it can be meant.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self) -> Result<(), Problem> {
        check_id(&self.product)?;
        if (1..=100).contains(&self.quantity) {
            return Ok(());
        }
        Err(Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            format!("quantity is {}, but 1 to 100 can be ordered", self.quantity),
        ))
    }
}

/// Whether `id` can name a product; anything else must not become part of a path.
///
/// # Errors
/// When it cannot: there is no such product.
pub fn check_id(id: &str) -> Result<(), Problem> {
    let can_be = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    if !id.is_empty() && id.bytes().all(can_be) {
        return Ok(());
    }
    Err(Problem::new(StatusCode::NOT_FOUND, "there is no such product"))
}

const fn one() -> u32 {
    1
}

/// An order, as far as it has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The idempotency key it was placed with.
    pub id: String,
    /// What was bought.
    #[serde(flatten)]
    pub purchase: Purchase,
    /// What it costs altogether.
    pub total_cents: u64,
    /// Whether the goods are set aside.
    pub stock: Stock,
    /// Whether it is paid.
    pub payment: Payment,
}

impl Order {
    /// Whether something is left to be done.
    pub fn is_pending(&self) -> bool {
        self.stock == Stock::Later || self.payment == Payment::Pending
    }
}

/// Asks the inventory to set goods aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    /// For which order.
    pub order: String,
    /// Which goods.
    #[serde(flatten)]
    pub purchase: Purchase,
}

/// What the inventory says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reserved {
    /// Whether the goods are set aside.
    pub stock: Stock,
}

/// Whether goods are set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stock {
    /// They are.
    Reserved,
    /// Not yet; the order is tried again. The fallback in `mainstay.yaml` says so when the inventory is away.
    Later,
}

/// Asks for money.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charge {
    /// For which order.
    pub order: String,
    /// How much.
    pub amount_cents: u64,
}

/// What the payment provider says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Charged {
    /// Whether it is paid.
    pub payment: Payment,
}

/// Whether an order is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Payment {
    /// It is.
    Paid,
    /// Not yet; it is tried again. The fallback in `mainstay.yaml` says so when payments cannot be had.
    Pending,
}
