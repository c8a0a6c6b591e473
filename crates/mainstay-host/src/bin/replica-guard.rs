//! A guard as a program of its own, for this crate's tests. The `mainstay` binary is its own guard.

use std::process::ExitCode;

fn main() -> ExitCode {
    mainstay_host::guard::run(std::env::args_os().skip(1))
}
