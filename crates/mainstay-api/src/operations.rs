//! What the Dapr API does: one plain function per operation, shared by HTTP and gRPC.

pub(crate) mod invoke;
pub(crate) mod metadata;
pub(crate) mod state;
