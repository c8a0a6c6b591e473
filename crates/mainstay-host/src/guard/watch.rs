//! The stage that guards: starts the app, passes signals on, reaps, and leaves nothing behind.

use std::ffi::OsString;
use std::io::{self, Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, ExitCode, Stdio};
use std::time::Duration;

use mainstay_base::{Clock as _, SystemClock, Timestamp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, kill_process, kill_process_group, wait};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::backend::SignalDelivery;
use signal_hook::iterator::exfiltrator::SignalOnly;

use super::message::{KILL, Report, read_command};
use crate::Exit;
use crate::proc_fs::ProcessTable;

/// How long processes may go on that an app left behind when it ended by itself, after a SIGTERM.
const LEFTOVER_GRACE: Duration = Duration::from_secs(1);

/// How often the killing is repeated: what forks meanwhile is caught by the next round.
const KILL_ROUND: Duration = Duration::from_millis(20);

/// After this long the rest cannot be killed (another user's process, one stuck in the kernel).
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// Watches over the command that the host names until nothing of it is left.
pub(super) fn run() -> ExitCode {
    match Guard::start().and_then(Guard::watch) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

struct Guard {
    clock: SystemClock,
    host: UnixStream,
    signals: SignalDelivery<UnixStream, SignalOnly>,
    /// The app: also its process group once it has started.
    child: Pid,
    /// Closes when the app's program runs.
    launch: Option<UnixStream>,
    /// Whether the app was asked to end, so that the host decides how long that may take.
    asked: bool,
    ended: bool,
    /// What it left has been asked to end.
    leftovers_asked: bool,
    /// When what is left of an app that ended is killed.
    kill_at: Option<Timestamp>,
    /// Since when everything is being killed.
    killing: Option<Timestamp>,
}

impl Guard {
    fn start() -> io::Result<Self> {
        become_reaper()?;
        // Handlers first: a child that ends at once must not be missed.
        let (read, write) = UnixStream::pair()?;
        let signals = [SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM];
        let signals = SignalDelivery::with_pipe(read, write, SignalOnly, signals)?;
        let mut host = UnixStream::from(rustix::stdio::stdin().try_clone_to_owned()?);
        let command = read_command(&mut host)?;
        host.set_nonblocking(true)?;
        let (launch, child) = launch(&command)?;
        Ok(Self {
            clock: SystemClock::new(),
            host,
            signals,
            child,
            launch: Some(launch),
            asked: false,
            ended: false,
            leftovers_asked: false,
            kill_at: None,
            killing: None,
        })
    }

    fn watch(mut self) -> io::Result<()> {
        loop {
            self.wait_for_news()?;
            if !self.reap() {
                return Ok(());
            }
            let now = self.clock.now();
            if self.kill_at.is_some_and(|at| at <= now) {
                self.killing.get_or_insert(now);
            }
            if let Some(since) = self.killing {
                if now.since(since) > KILL_LIMIT {
                    return Err(io::Error::from(io::ErrorKind::TimedOut));
                }
                self.signal_all(Signal::KILL, Whom::All);
            }
        }
    }

    /// Waits for the host, a signal, the start of the program, or the time to kill, and notes what came.
    fn wait_for_news(&mut self) -> io::Result<()> {
        let timeout = match self.killing {
            Some(_) => Some(KILL_ROUND),
            None => self.kill_at.map(|at| at.since(self.clock.now())),
        };
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut polled = vec![PollFd::new(self.signals.get_read(), PollFlags::IN)];
        // A closed host would wake every poll of the killing.
        if self.killing.is_none() {
            polled.push(PollFd::new(&self.host, PollFlags::IN));
        }
        polled.extend(
            self.launch
                .iter()
                .map(|launch| PollFd::new(launch, PollFlags::IN)),
        );
        match poll(&mut polled, timeout.as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        self.hear_launch();
        self.hear_signals();
        self.hear_host();
        Ok(())
    }

    /// The end of this pipe without a word is the start of the program.
    fn hear_launch(&mut self) {
        let Some(launch) = &mut self.launch else {
            return;
        };
        let mut errno = [0; 4];
        match launch.read(&mut errno) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
            Ok(4) => self.report(Report::Refused(i32::from_ne_bytes(errno))),
            _ => self.report(Report::Started(self.child.as_raw_nonzero().get().unsigned_abs())),
        }
        self.launch = None;
    }

    /// Whoever signals the guard means the app.
    fn hear_signals(&mut self) {
        for number in self.signals.pending().filter(|number| *number != SIGCHLD) {
            self.asked = true;
            self.signal_app(number);
        }
    }

    fn hear_host(&mut self) {
        let mut bytes = [0; 16];
        let kill = match self.host.read(&mut bytes) {
            Ok(0) => true,
            Ok(count) => {
                let numbers = bytes.get(..count).unwrap_or_default();
                for number in numbers.iter().filter(|number| **number != KILL) {
                    self.asked = true;
                    self.signal_app(i32::from(*number));
                }
                numbers.contains(&KILL)
            }
            Err(error) => !matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
            ),
        };
        if kill {
            let now = self.clock.now();
            self.killing.get_or_insert(now);
        }
    }

    /// Collects what has ended. `false` when nothing is left.
    fn reap(&mut self) -> bool {
        loop {
            match wait(WaitOptions::NOHANG) {
                Ok(Some((pid, status))) if pid == self.child => self.app_ended(status),
                Ok(Some(_)) | Err(rustix::io::Errno::INTR) => {}
                Ok(None) => break,
                // No child, and as everything orphaned below becomes one: nothing at all.
                Err(_) => return false,
            }
        }
        if self.ended && !self.leftovers_asked {
            self.leftovers_asked = true;
            self.ask_leftovers();
        }
        true
    }

    fn app_ended(&mut self, status: WaitStatus) {
        // It may have ended before it was noticed that it ran.
        self.hear_launch();
        self.ended = true;
        let exit = status.terminating_signal().map_or_else(
            || Exit::Code(status.exit_status().unwrap_or_default()),
            Exit::Signal,
        );
        self.report(Report::Ended(exit));
    }

    /// Asks what the app left behind to end. If the app itself was asked, so was its group, and the host says how long
    /// that may take.
    fn ask_leftovers(&mut self) {
        if self.asked {
            self.signal_all(Signal::TERM, Whom::Elsewhere);
        } else {
            let left = self.signal_all(Signal::TERM, Whom::All);
            if left > 0 {
                self.report(Report::Left(left));
            }
            self.kill_at = Some(self.clock.now() + LEFTOVER_GRACE);
        }
    }

    fn report(&mut self, report: Report) {
        // A host that is gone shows as the end of its stream.
        let _ = self.host.write_all(format!("{report}\n").as_bytes());
    }

    fn signal_app(&self, number: i32) {
        // Real-time signals have no name; an app that is stopped by one is asked in the usual way.
        let signal = Signal::from_named_raw(number).unwrap_or(Signal::TERM);
        // What is stopped would not notice before it goes on.
        for signal in [signal, Signal::CONT] {
            if self.ended {
                self.signal_all(signal, Whom::All);
            } else if kill_process_group(self.child, signal).is_err() {
                // Its group does not exist yet.
                let _ = kill_process(self.child, signal);
            }
        }
    }

    /// Signals what is below the guard; says how many that were.
    fn signal_all(&self, signal: Signal, whom: Whom) -> u32 {
        // First the group, at one stroke: processes that fork fast cannot outrun it. Once the app is reaped its number
        // may belong to a stranger; only without /proc it is all there is.
        let by_group = !self.ended || cfg!(not(target_os = "linux"));
        let group = by_group && whom == Whom::All && kill_process_group(self.child, signal).is_ok();
        let own_group = self.child.as_raw_nonzero().get().unsigned_abs();
        let table = ProcessTable::read();
        let mut count = 0;
        for process in table.descendants(std::process::id()) {
            let wanted = !process.zombie && (whom == Whom::All || process.group != own_group);
            let pid = i32::try_from(process.pid).ok().and_then(Pid::from_raw);
            if let Some(pid) = pid.filter(|_| wanted) {
                count += 1;
                let _ = kill_process(pid, signal);
            }
        }
        count.max(u32::from(group))
    }
}

/// Which of the processes below the guard.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whom {
    All,
    /// Those that have left the app's process group.
    Elsewhere,
}

/// Starts the `launch` stage. It needs the hidden argument again, which is what precedes the guard's own arguments.
fn launch(command: &[OsString]) -> io::Result<(UnixStream, Pid)> {
    // Before the last one, which is this stage.
    let all: Vec<OsString> = std::env::args_os().collect();
    let hidden = all.get(1..all.len().saturating_sub(1)).unwrap_or_default();
    let (read, write) = UnixStream::pair()?;
    read.set_nonblocking(true)?;
    #[expect(
        clippy::disallowed_methods,
        reason = "this crate is the one that starts processes"
    )]
    let child = Command::new(own_program()?)
        .args(hidden)
        .arg(super::LAUNCH)
        .arg(std::process::id().to_string())
        .args(command)
        .stdin(Stdio::from(OwnedFd::from(write)))
        .spawn()?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    pid.map(|pid| (read, pid))
        .ok_or_else(|| io::ErrorKind::InvalidData.into())
}

/// The file this process runs, even when another one has taken its place on disk since.
fn own_program() -> io::Result<std::path::PathBuf> {
    if cfg!(target_os = "linux") {
        Ok("/proc/self/exe".into())
    } else {
        std::env::current_exe()
    }
}

/// Makes every orphan below this process its child, and gives it its name.
#[cfg(target_os = "linux")]
fn become_reaper() -> io::Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    Ok(rustix::thread::set_name(c"replica-guard")?)
}

#[cfg(not(target_os = "linux"))]
fn become_reaper() -> io::Result<()> {
    Ok(())
}
