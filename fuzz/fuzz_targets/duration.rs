//! Durations of the manifest and of Dapr files, and the `grpc-timeout` header.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use mainstay_base::{Deadline, format_duration, parse_duration};

fuzz_target!(|text: &str| {
    if let Ok(duration) = parse_duration(text) {
        // Nanoseconds pass through an f64 on the way in: exact up to 2^53 of them, which is 104 days.
        let again = parse_duration(&format_duration(duration)).expect("what was written is read back");
        let tolerance = if duration < Duration::from_secs(100 * 86_400) {
            0
        } else {
            duration.as_nanos() >> 50
        };
        assert!(
            again.abs_diff(duration).as_nanos() <= tolerance,
            "{duration:?} came back as {again:?}"
        );
    }
    if let Some(timeout) = Deadline::parse_grpc_timeout(text) {
        let (amount, unit) = Deadline::grpc_timeout(timeout);
        let again =
            Deadline::parse_grpc_timeout(&format!("{amount}{unit}")).expect("what was written is read back");
        assert!(again <= timeout, "a hop made {timeout:?} longer: {again:?}");
    }
});
