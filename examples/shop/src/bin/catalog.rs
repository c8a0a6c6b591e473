//! The shop's catalog.
fn main() {}
