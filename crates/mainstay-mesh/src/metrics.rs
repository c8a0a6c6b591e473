//! The metrics of the data plane: one table, and the way to read them all.

use mainstay_base::metric::{Collect, Descriptor, Visitor};

/// Shows the present values.
#[derive(Debug)]
pub(crate) struct Metrics {}

impl Collect for Metrics {
    fn descriptors(&self) -> &'static [&'static Descriptor] {
        &[]
    }

    fn collect(&self, _visitor: &mut dyn Visitor) {}
}
