//! Which callee and which path a request of the Dapr API means.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|request: &str| mainstay_api::fuzzing::invocation(request));
