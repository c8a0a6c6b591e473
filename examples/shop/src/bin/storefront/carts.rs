//! Carts: what a shopper has picked, kept in state until it is bought or forgotten.
//!
//! A cart is a value of its shopper, shared by all replicas and changed with its tag: two changes at a time are both made.
//! Checking out turns it into a checkout in one change, so its goods are in one of the two and never in both; the orders
//! are named by the checkout, so it can be repeated.

use axum::Json;
use axum::extract::{Path, State};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::{Deserialize, Serialize};
use shop::{Cart, Change, Context, Dapr, Kept, Order, Problem, Purchase, Saved, check_id, plain_key};
use tokio::task::JoinSet;

/// How long a cart is kept after its last change, and a checkout to tell a repeated one from a new one.
const KEPT_SECONDS: u32 = 24 * 3_600;

/// How often a change is decided anew because another one was faster.
const ATTEMPTS: usize = 20;

/// How many of a product are wanted.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(crate) struct Wanted {
    quantity: u32,
}

/// What became of a line of a cart.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(crate) enum Placed {
    Order(Order),
    /// It cannot be had, and why.
    Refused {
        #[serde(flatten)]
        purchase: Purchase,
        error: String,
    },
}

/// The cart of a shopper.
pub(crate) async fn get(
    State(dapr): State<Dapr>,
    Path(shopper): Path<String>,
) -> Result<Json<Cart>, Problem> {
    check_shopper(&shopper)?;
    let kept: Option<Kept<Cart>> = dapr.kept(&name(&shopper)).await?;
    Ok(Json(kept.map(|kept| kept.value).unwrap_or_default()))
}

/// Has so many of a product in the cart, however many there were: done twice, it is done once.
pub(crate) async fn put(
    State(dapr): State<Dapr>,
    Path((shopper, product)): Path<(String, String)>,
    Json(Wanted { quantity }): Json<Wanted>,
) -> Result<Json<Cart>, Problem> {
    let purchase = Purchase { product, quantity };
    purchase.check()?;
    let cart = change(&dapr, &shopper, |cart| cart.put(purchase.clone())).await?;
    Ok(Json(cart))
}

/// Takes a product out of the cart.
pub(crate) async fn remove(
    State(dapr): State<Dapr>,
    Path((shopper, product)): Path<(String, String)>,
) -> Result<Json<Cart>, Problem> {
    let without = |cart: &mut Cart| {
        cart.remove(&product);
        Ok(())
    };
    Ok(Json(change(&dapr, &shopper, without).await?))
}

/// Orders what is in the cart, and empties it. Sent again with the same `idempotency-key` it is the same checkout, and tells
/// how far its orders have come.
pub(crate) async fn check_out(
    State(dapr): State<Dapr>,
    Path(shopper): Path<String>,
    context: Context,
    headers: HeaderMap,
) -> Result<(StatusCode, Json<Vec<Placed>>), Problem> {
    check_shopper(&shopper)?;
    let key = plain_key(&headers)?;
    let cart = take(&dapr, &shopper, &key).await?;
    let mut placing = JoinSet::new();
    for (index, purchase) in cart.lines.into_iter().enumerate() {
        let (dapr, context, key) = (dapr.clone(), context.clone(), key.clone());
        placing.spawn(async move { (index, place(&dapr, &key, purchase, &context).await) });
    }
    let mut placed = placing.join_all().await;
    placed.sort_by_key(|(index, _)| *index);
    // What may be had later is asked for again by who repeats the checkout.
    let placed: Vec<Placed> = placed
        .into_iter()
        .map(|(_, placed)| placed)
        .collect::<Result<_, _>>()?;
    let is_pending = |placed: &Placed| matches!(placed, Placed::Order(order) if order.is_pending());
    let status = if placed.iter().any(is_pending) {
        StatusCode::ACCEPTED
    } else {
        StatusCode::CREATED
    };
    Ok((status, Json(placed)))
}

async fn place(dapr: &Dapr, key: &str, purchase: Purchase, context: &Context) -> Result<Placed, Problem> {
    let key = HeaderValue::from_str(&format!("{key}-{}", purchase.product)).map_err(Problem::bug)?;
    let context = context.with_idempotency_key(&key);
    let answer = dapr.post("orders", "orders", &purchase, &context).await?;
    match answer.json() {
        Ok(order) => Ok(Placed::Order(order)),
        Err(problem) if problem.is_final() => Ok(Placed::Refused {
            purchase,
            error: problem.text,
        }),
        Err(problem) => Err(problem),
    }
}

/// Turns the cart into the checkout called `key`, and gives what was in it.
async fn take(dapr: &Dapr, shopper: &str, key: &str) -> Result<Cart, Problem> {
    let (of_cart, of_checkout) = (name(shopper), format!("checkout-{shopper}-{key}"));
    for _ in 0..ATTEMPTS {
        if let Some(known) = dapr.kept::<Cart>(&of_checkout).await? {
            return Ok(known.value);
        }
        let kept: Option<Kept<Cart>> = dapr.kept(&of_cart).await?;
        let cart = kept.as_ref().map(|kept| kept.value.clone()).unwrap_or_default();
        if cart.lines.is_empty() {
            return Err(Problem::new(StatusCode::CONFLICT, "the cart is empty"));
        }
        let empty = Saved::instead_of(&of_cart, &Cart::default(), kept.as_ref())?;
        let checkout = Saved::instead_of(&of_checkout, &cart, None)?;
        let values = [empty, checkout].map(|value| value.for_seconds(KEPT_SECONDS));
        if dapr.save(values.into()).await? == Change::Made {
            return Ok(cart);
        }
    }
    Err(too_busy())
}

/// Changes the cart of a shopper; decides anew when another change was faster.
async fn change(
    dapr: &Dapr,
    shopper: &str,
    change: impl Fn(&mut Cart) -> Result<(), Problem>,
) -> Result<Cart, Problem> {
    check_shopper(shopper)?;
    let name = name(shopper);
    for _ in 0..ATTEMPTS {
        let kept: Option<Kept<Cart>> = dapr.kept(&name).await?;
        let mut cart = kept.as_ref().map(|kept| kept.value.clone()).unwrap_or_default();
        change(&mut cart)?;
        let saved = Saved::instead_of(&name, &cart, kept.as_ref())?;
        if dapr.save(vec![saved.for_seconds(KEPT_SECONDS)]).await? == Change::Made {
            return Ok(cart);
        }
    }
    Err(too_busy())
}

fn name(shopper: &str) -> String {
    format!("cart-{shopper}")
}

/// Whoever comes has a name of their own making, which becomes part of a key.
fn check_shopper(shopper: &str) -> Result<(), Problem> {
    check_id(shopper).map_err(|_| Problem::new(StatusCode::NOT_FOUND, "there is no such shopper"))
}

fn too_busy() -> Problem {
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "this cart changes too fast")
}
