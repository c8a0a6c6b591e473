//! A value of `state.mainstay` as the store holds it.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| mainstay_state::fuzzing::record(input));
