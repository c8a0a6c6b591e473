//! The shop's shoppers.
fn main() {}
