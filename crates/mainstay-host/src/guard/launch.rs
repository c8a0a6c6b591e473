//! The stage that becomes the app.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitCode};

/// Exit code when the program could not be run (as shells do).
const NOT_RUN: u8 = 127;

/// Becomes `command`. Standard input is a socket to the guard: it closes when the program runs, and gets the error number
/// when it does not.
pub(super) fn run(guard: &OsStr, command: &[OsString]) -> ExitCode {
    let Some((program, args)) = command.split_first() else {
        return ExitCode::from(super::USAGE);
    };
    let error = launch(guard, program, args);
    let Ok((mut report, error)) = error else {
        return ExitCode::from(NOT_RUN);
    };
    // Nobody is left to tell when the guard is gone.
    let _ = report.write_all(&error.raw_os_error().unwrap_or_default().to_ne_bytes());
    ExitCode::from(NOT_RUN)
}

/// Returns only when it failed: with that socket and the reason, or without when there is not even a socket.
fn launch(guard: &OsStr, program: &OsStr, args: &[OsString]) -> io::Result<(File, io::Error)> {
    let report = File::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?);
    let prepared = (|| -> io::Result<()> {
        rustix::stdio::dup2_stdin(File::open("/dev/null")?)?;
        // An own session: no terminal signal reaches the app, and a question at the terminal fails instead of stopping
        // it for ever.
        rustix::process::setsid()?;
        die_with(guard)
    })();
    if let Err(error) = prepared {
        return Ok((report, error));
    }
    #[expect(
        clippy::disallowed_methods,
        reason = "this crate is the one that starts processes"
    )]
    let error = Command::new(program).args(args).exec();
    Ok((report, error))
}

/// Lets the kernel kill this process when the guard dies, for the case that both Mainstay and the guard are killed.
#[cfg(target_os = "linux")]
fn die_with(guard: &OsStr) -> io::Result<()> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};

    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The guard may have died just before.
    let parent = getppid().map(|pid| pid.as_raw_nonzero().to_string());
    if parent.as_deref().map(OsStr::new) == Some(guard) {
        Ok(())
    } else {
        Err(rustix::io::Errno::CANCELED.into())
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with(_guard: &OsStr) -> io::Result<()> {
    Ok(())
}
