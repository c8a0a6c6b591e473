//! The shop's orders.
fn main() {}
