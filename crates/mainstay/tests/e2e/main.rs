//! End-to-end tests: each starts the real binary.
