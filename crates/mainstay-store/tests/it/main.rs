//! Adapters against the port.

mod simulated;
