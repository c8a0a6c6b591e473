//! A YAML file as a tree that knows where everything stands, and its check against a JSON schema.

mod check;
pub(crate) mod form;
mod suggest;
#[cfg(test)]
mod tests;
mod tree;

pub(crate) use check::check;
pub(crate) use suggest::{closest, did_you_mean};
pub(crate) use tree::{Document, MAX_BYTES, Node, Value, parse};
