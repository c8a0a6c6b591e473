//! One current-thread runtime per core; a connection stays on its worker for life.

use std::future::Future;

/// The threads of the data plane.
#[derive(Clone, Debug)]
pub struct Workers {}

impl Workers {
    /// Runs a connection's task on the worker with the fewest connections: `make` is called on that worker's thread,
    /// inside its runtime. The connection counts as one until the future ends.
    pub fn spawn<F>(&self, make: impl FnOnce() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let _ = make;
        todo!("mesh")
    }
}
