//! The shop's payments.
fn main() {}
