//! A child process whose output is kept and whose end can be waited for.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};

use rustix::process::{Pid, Signal};
use tokio::sync::watch;

use super::within;

/// A child process.
pub struct Process {
    pid: Pid,
    lines: Arc<Mutex<Vec<String>>>,
    /// Counts the lines; closed when both streams have ended.
    grown: watch::Receiver<usize>,
    ended: watch::Receiver<Option<ExitStatus>>,
}

impl Process {
    /// Starts `command` and keeps what it prints.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let pid = Pid::from_child(&child);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let (grow, grown) = watch::channel(0);
        let grow = Arc::new(grow);
        // Threads and not tasks, so that the log is complete even while a panic unwinds.
        keep(
            child.stdout.take().expect("piped"),
            Arc::clone(&lines),
            Arc::clone(&grow),
        );
        keep(child.stderr.take().expect("piped"), Arc::clone(&lines), grow);
        Self {
            pid,
            lines,
            grown,
            ended: reap(child),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw_nonzero().get().unsigned_abs()
    }

    /// Sends a signal, unless it has ended.
    pub fn signal(&self, signal: Signal) {
        if self.ended.borrow().is_none() {
            let _ = rustix::process::kill_process(self.pid, signal);
        }
    }

    /// Waits for its end and for the last of its output.
    pub async fn wait(&self) -> ExitStatus {
        let mut ended = self.ended.clone();
        let status = within("the process ends", ended.wait_for(Option::is_some)).await;
        let status = status.expect("it was reaped").expect("it ended");
        let mut grown = self.grown.clone();
        within("its output ends", async {
            while grown.changed().await.is_ok() {}
        })
        .await;
        status
    }

    /// Whether it has ended.
    pub fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// What it has printed so far.
    pub fn log(&self) -> String {
        self.lines.lock().expect("no panic").join("\n")
    }

    /// Waits for a line that contains `text`, and gives it.
    pub async fn line_with(&self, text: &str) -> String {
        let mut grown = self.grown.clone();
        let find = async {
            loop {
                grown.borrow_and_update();
                let found = self.find(text);
                // All output has come when the channel is closed: one last look is enough.
                if found.is_some() || grown.changed().await.is_err() {
                    return found.or_else(|| self.find(text));
                }
            }
        };
        within(&format!("a line with `{text}`"), find)
            .await
            .unwrap_or_else(|| panic!("it ended without a line with `{text}`:\n{}", self.log()))
    }

    fn find(&self, text: &str) -> Option<String> {
        let lines = self.lines.lock().expect("no panic");
        lines.iter().find(|line| line.contains(text)).cloned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
        if std::thread::panicking() {
            eprintln!("--- what process {} printed:\n{}\n---", self.pid(), self.log());
        }
    }
}

fn keep(stream: impl Read + Send + 'static, lines: Arc<Mutex<Vec<String>>>, grow: Arc<watch::Sender<usize>>) {
    std::thread::spawn(move || {
        let mut stream = BufReader::new(stream);
        let mut bytes = Vec::new();
        while stream.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
            let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
            lines.lock().expect("no panic").push(line);
            grow.send_modify(|count| *count += 1);
            bytes.clear();
        }
    });
}

fn reap(mut child: Child) -> watch::Receiver<Option<ExitStatus>> {
    let (sender, receiver) = watch::channel(None);
    std::thread::spawn(move || sender.send_replace(child.wait().ok()));
    receiver
}
