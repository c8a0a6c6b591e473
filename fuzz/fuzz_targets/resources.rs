//! The text of a Dapr resource file.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| mainstay::fuzzing::resources(text));
