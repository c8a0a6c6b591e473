//! A query over state, and the values that it looks at.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| mainstay_state::fuzzing::query(input));
