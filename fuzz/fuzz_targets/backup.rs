//! A backup that anybody may have written, and what a running system sends.

#![no_main]

use libfuzzer_sys::fuzz_target;
use mainstay_backup::Incoming;
use mainstay_backup::format::{Lock, Reader};

fuzz_target!(|input: &[u8]| {
    let mut reader = Reader::new(Lock::Open);
    reader.push(input);
    while let Ok(Some(_)) = reader.pull() {}
    let _ = Incoming::new().push(input);
});
