//! The text of a manifest.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| mainstay::fuzzing::manifest(text));
