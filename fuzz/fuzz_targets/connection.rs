//! A connection string of a component on PostgreSQL.

#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &str| mainstay_postgres::fuzzing::connection(input));
