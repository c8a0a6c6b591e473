//! W3C trace context.

use http::HeaderValue;

use crate::headers::once;

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

/// `00-` trace id `-` span id `-` flags.
const LENGTH: usize = 55;

impl TraceContext {
    /// Reads a `traceparent` header; `None` when it is malformed or of all zeroes.
    ///
    /// A later version than 00 is read as far as version 00 defines it, as the recommendation asks.
    pub fn parse(text: &[u8]) -> Option<Self> {
        let (head, rest) = text.split_at_checked(LENGTH)?;
        let version = hex(head.get(0..2)?)?;
        let separators = [head.get(2)?, head.get(35)?, head.get(52)?];
        let fits = match version {
            0 => rest.is_empty(),
            0xff => false,
            _ => rest.first().is_none_or(|byte| *byte == b'-'),
        };
        if !fits || separators.into_iter().any(|byte| *byte != b'-') {
            return None;
        }
        let high = hex(head.get(3..19)?)?;
        let low = hex(head.get(19..35)?)?;
        let trace_id = (u128::from(high) << 64) | u128::from(low);
        let span_id = hex(head.get(36..52)?)?;
        let flags = hex(head.get(53..55)?)?;
        (trace_id != 0 && span_id != 0).then_some(Self {
            trace_id,
            span_id,
            sampled: flags & 1 == 1,
        })
    }

    /// A new trace that is recorded with probability `ratio`.
    pub(crate) fn generate(ratio: f64) -> Self {
        Self {
            trace_id: fastrand::u128(1..),
            span_id: fastrand::u64(1..),
            sampled: ratio >= 1.0 || fastrand::f64() < ratio,
        }
    }

    /// The same trace with a new span.
    pub(crate) fn child(self) -> Self {
        Self {
            span_id: fastrand::u64(1..),
            ..self
        }
    }

    /// As a `traceparent` header.
    pub(crate) fn header(self) -> HeaderValue {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        let (_, after_version) = text.split_at_mut(3);
        let (trace_id, after_trace) = after_version.split_at_mut(32);
        let (_, span_and_flags) = after_trace.split_at_mut(1);
        let (span_id, flags) = span_and_flags.split_at_mut(16);
        write_hex(&self.trace_id.to_be_bytes(), trace_id);
        write_hex(&self.span_id.to_be_bytes(), span_id);
        if let (true, Some(last)) = (self.sampled, flags.last_mut()) {
            *last = b'1';
        }
        once(HeaderValue::from_bytes(&text).unwrap_or_else(|_| HeaderValue::from_static("")))
    }
}

/// Reads up to 16 lower-case hexadecimal digits; upper case is malformed (W3C Trace Context, 3.2).
fn hex(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0_u64, |value, digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some((value << 4) | u64::from(digit))
    })
}

/// Writes `bytes` in hexadecimal, two digits each.
fn write_hex(bytes: &[u8], digits: &mut [u8]) {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    for (byte, pair) in bytes.iter().zip(digits.chunks_exact_mut(2)) {
        pair.copy_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 0xf)]]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_survives_the_header() {
        let context = TraceContext::generate(1.0);
        assert!(context.sampled);
        assert_eq!(TraceContext::parse(context.header().as_bytes()), Some(context));
        let unsampled = TraceContext::generate(0.0).child();
        assert_eq!(
            TraceContext::parse(unsampled.header().as_bytes()),
            Some(unsampled)
        );
    }

    #[test]
    fn reads_what_the_recommendation_shows() {
        let context = TraceContext::parse(b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        assert_eq!(
            context,
            Some(TraceContext {
                trace_id: 0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736,
                span_id: 0x00f0_67aa_0ba9_02b7,
                sampled: true,
            })
        );
        assert!(TraceContext::parse(b"cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x").is_some());
    }

    #[test]
    fn malformed_headers_are_refused() {
        for text in [
            "",
            "00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00_4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(TraceContext::parse(text.as_bytes()), None, "{text}");
        }
    }
}
