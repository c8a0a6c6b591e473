//! What the services tell each other, as JSON.

use http::{HeaderMap, StatusCode};
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

/// Most different products in a cart.
const LINES_MAX: usize = 10;

/// What a shopper has picked: each product once.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cart {
    /// In the order in which they were picked.
    pub lines: Vec<Purchase>,
}

impl Cart {
    /// Has a product in it, in place of what is there of it.
    ///
    /// # Errors
    /// When the cart is full.
    pub fn put(&mut self, purchase: Purchase) -> Result<(), Problem> {
        let mut lines = self.lines.iter_mut();
        if let Some(line) = lines.find(|line| line.product == purchase.product) {
            line.quantity = purchase.quantity;
            return Ok(());
        }
        if self.lines.len() >= LINES_MAX {
            let text = format!("a cart holds {LINES_MAX} different products");
            return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text));
        }
        self.lines.push(purchase);
        Ok(())
    }

    /// Takes a product out, if it is in it.
    pub fn remove(&mut self, product: &str) {
        self.lines.retain(|line| line.product != product);
    }
}

/// The idempotency key of a request, which becomes part of the names of what is made for it.
///
/// # Errors
/// When there is none, or one that cannot be part of a name.
pub fn plain_key(headers: &HeaderMap) -> Result<String, Problem> {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok());
    match key.filter(|key| key.len() <= 64 && check_id(key).is_ok()) {
        Some(key) => Ok(key.to_owned()),
        None => Err(Problem::new(
            StatusCode::BAD_REQUEST,
            "an idempotency-key of 1 to 64 letters, digits and `-` is needed",
        )),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn line(product: &str, quantity: u32) -> Purchase {
        Purchase {
            product: product.to_owned(),
            quantity,
        }
    }

    #[test]
    fn a_cart_has_each_product_once() {
        let mut cart = Cart::default();
        for (product, quantity) in [("lamp", 1), ("cactus", 2), ("lamp", 3)] {
            assert!(cart.put(line(product, quantity)).is_ok());
        }
        assert_eq!(cart.lines, [line("lamp", 3), line("cactus", 2)]);
        cart.remove("lamp");
        cart.remove("lamp");
        assert_eq!(cart.lines, [line("cactus", 2)]);
    }

    #[test]
    fn a_cart_is_full_at_some_time() {
        let mut cart = Cart::default();
        for number in 0..LINES_MAX {
            assert!(cart.put(line(&number.to_string(), 1)).is_ok());
        }
        assert!(cart.put(line("more", 1)).is_err());
        assert!(cart.put(line("0", 2)).is_ok(), "what is there can be changed");
    }
}
