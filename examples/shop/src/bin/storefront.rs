//! The shop's storefront.
fn main() {}
