//! A YAML file as a tree that knows where everything stands, and its check against a JSON schema.

mod check;
pub(crate) mod form;
mod named;
mod read;
mod suggest;
mod tree;

pub(crate) use check::check;
pub(crate) use named::Named;
pub(crate) use read::read;
pub(crate) use suggest::{closest, did_you_mean};
pub(crate) use tree::{Document, Value, parse};
