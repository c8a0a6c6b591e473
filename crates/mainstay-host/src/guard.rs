//! The guard of a replica: a small process between Mainstay and the app, so that nothing the app started outlives it.
//!
//! Mainstay starts itself again with a hidden argument, and the binary calls [`run`] with what follows that argument.
//! There are two stages. `watch` is the guard: the parent of the app and, as a child subreaper, of everything the app
//! leaves behind, even what moved to another process group or session. `launch` becomes the app: it opens a session
//! (so a process group) for it, asks the kernel to kill it when the guard dies, and gives way to its program.
//!
//! The guard's standard input is a socket to the host (see [`crate::process`]). When the host closes it, or is killed,
//! the guard kills everything below it with `SIGKILL` at once: the app's calls go through Mainstay, so without it there
//! is no orderly end to wait for.

mod launch;
pub(crate) mod message;
mod watch;

use std::ffi::OsString;
use std::process::ExitCode;

/// What a guard is called in a list of processes: nothing that a `pkill mainstay` matches.
pub(crate) const NAME: &str = "replica-guard";

pub(crate) const WATCH: &str = "watch";
const LAUNCH: &str = "launch";

/// Exit code for wrong usage (sysexits.h).
const USAGE: u8 = 64;

/// Runs one stage of a guard. `args` are those that follow the hidden argument (all that came after it, unchanged); the
/// answer is the exit code of this process.
///
/// To be called before anything else: threads, signal handlers and a runtime would only cost memory in every replica.
pub fn run(args: impl Iterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.collect();
    match args.split_first() {
        Some((stage, [])) if stage == WATCH => watch::run(),
        Some((stage, [guard, command @ ..])) if stage == LAUNCH => launch::run(guard, command),
        _ => ExitCode::from(USAGE),
    }
}
