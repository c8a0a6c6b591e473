//! A connection string of `state.postgresql`.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| mainstay_state::fuzzing::connection(input));
