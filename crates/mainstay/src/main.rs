//! The `mainstay` command.

use std::process::ExitCode;

use mimalloc::MiMalloc;

/// A call makes some thirty small allocations, and what they cost shows: a tenth of its CPU time with the allocator of the
/// C library, half of that with this one.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    mainstay::main()
}
