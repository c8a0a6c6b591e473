//! The deadline of a call: what the caller brings, capped by the policy, told to the callee.
//!
//! A deadline travels as the time that is left, so the clocks of two machines need not agree, and it only ever shrinks.

use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue};
use mainstay_base::{Deadline, Timestamp};

use crate::headers::once;

/// Milliseconds that are left when the request is sent.
pub const DEADLINE_MS: HeaderName = HeaderName::from_static("mainstay-deadline-ms");
/// The same in gRPC's own words.
pub const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");

/// The deadlines of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadlines {
    /// What the caller brought. Holds for everything, streams of the caller included.
    pub(crate) brought: Option<Deadline>,
    /// The earlier of that and what the policy allows. Does not run while the caller is still sending.
    pub(crate) effective: Deadline,
}

/// A header that holds no time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no time")]
pub(crate) struct Malformed(HeaderName);

/// Reads the deadline that a request brings which came in at `now`.
pub(crate) fn read(headers: &HeaderMap, now: Timestamp) -> Result<Option<Deadline>, Malformed> {
    let own = left(headers, DEADLINE_MS, |text| {
        text.parse().ok().map(Duration::from_millis)
    })?;
    let grpc = left(headers, GRPC_TIMEOUT, Deadline::parse_grpc_timeout)?;
    let earliest = match (own, grpc) {
        (Some(own), Some(grpc)) => Some(own.min(grpc)),
        (own, grpc) => own.or(grpc),
    };
    Ok(earliest.map(|left| Deadline::after(now, left)))
}

impl Deadlines {
    /// The deadlines of a call that came in at `now`.
    pub(crate) fn new(brought: Option<Deadline>, call_timeout: Duration, now: Timestamp) -> Self {
        let effective = brought.map_or_else(
            || Deadline::after(now, call_timeout),
            |brought| brought.capped(now, call_timeout),
        );
        Self { brought, effective }
    }

    /// Tells the callee of an attempt that starts at `now` how long its answer is of use: until the deadline, and no
    /// longer than `attempt_timeout`.
    ///
    /// `grpc-timeout` is passed on only where the caller set it, because a gRPC server cuts streams by it.
    pub(crate) fn write(self, headers: &mut HeaderMap, attempt_timeout: Duration, now: Timestamp) {
        let left = self.effective.left(now).min(attempt_timeout);
        let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
        headers.insert(DEADLINE_MS, once(HeaderValue::from(left_ms)));
        if let Some(brought) = self.brought
            && headers.contains_key(GRPC_TIMEOUT)
        {
            let (amount, unit) = Deadline::grpc_timeout(brought.left(now));
            if let Ok(value) = HeaderValue::try_from(format!("{amount}{unit}")) {
                headers.insert(GRPC_TIMEOUT, once(value));
            }
        }
    }
}

fn left(
    headers: &HeaderMap,
    name: HeaderName,
    parse: impl Fn(&str) -> Option<Duration>,
) -> Result<Option<Duration>, Malformed> {
    let Some(value) = headers.get(&name) else {
        return Ok(None);
    };
    match value.to_str().ok().and_then(parse) {
        Some(left) => Ok(Some(left)),
        None => Err(Malformed(name)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::tests::headers;

    const NOW: Timestamp = Timestamp::from_nanos(1_000_000_000);
    const POLICY: Duration = Duration::from_secs(2);

    #[track_caller]
    fn check_left(pairs: &[(&'static str, &'static str)], brought_ms: Option<u64>, effective_ms: u64) {
        let deadlines = Deadlines::new(read(&headers(pairs), NOW).unwrap(), POLICY, NOW);
        let ms = |deadline: Deadline| u64::try_from(deadline.left(NOW).as_millis()).unwrap();
        assert_eq!(deadlines.brought.map(ms), brought_ms);
        assert_eq!(ms(deadlines.effective), effective_ms);
    }

    #[test]
    fn the_earliest_deadline_holds() {
        check_left(&[], None, 2000);
        check_left(&[("mainstay-deadline-ms", "300")], Some(300), 300);
        check_left(&[("grpc-timeout", "5S")], Some(5000), 2000);
        check_left(
            &[("grpc-timeout", "100m"), ("mainstay-deadline-ms", "300")],
            Some(100),
            100,
        );
        check_left(&[("mainstay-deadline-ms", "0")], Some(0), 0);
    }

    #[test]
    fn what_cannot_be_read_is_told() {
        for (name, value) in [
            ("mainstay-deadline-ms", "soon"),
            ("mainstay-deadline-ms", "-1"),
            ("grpc-timeout", "1"),
        ] {
            let read = read(&headers(&[(name, value)]), NOW);
            assert_eq!(read, Err(Malformed(HeaderName::from_static(name))));
        }
    }

    #[test]
    fn the_deadline_shrinks_on_its_way() {
        let mut sent = headers(&[("grpc-timeout", "1S")]);
        let deadlines = Deadlines::new(read(&sent, NOW).unwrap(), POLICY, NOW);
        let later = NOW + Duration::from_millis(400);
        deadlines.write(&mut sent, Duration::from_millis(500), later);
        assert_eq!(sent.get("mainstay-deadline-ms").unwrap(), "500");
        assert_eq!(sent.get("grpc-timeout").unwrap(), "600000u");
        deadlines.write(&mut sent, POLICY, later);
        assert_eq!(sent.get("mainstay-deadline-ms").unwrap(), "600");
    }
}
