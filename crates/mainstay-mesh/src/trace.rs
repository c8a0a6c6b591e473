//! W3C trace context.

/// Where a call stands in its trace (W3C Trace Context, level 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// Never zero.
    pub trace_id: u128,
    /// Never zero.
    pub span_id: u64,
    /// Whether the trace is recorded.
    pub sampled: bool,
}

impl TraceContext {
    /// Reads a `traceparent` header; `None` when it is malformed or of all zeroes.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let _ = text;
        todo!("mesh")
    }
}
