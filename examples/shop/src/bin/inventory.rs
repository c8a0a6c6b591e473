//! The shop's inventory.
fn main() {}
