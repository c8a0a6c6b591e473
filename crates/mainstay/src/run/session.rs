//! From the start of a system to its end: follows the log, tells what happens, stops when asked.

use std::sync::Arc;
use std::time::Duration;

use mainstay_api::wire::{LogLine, System};
use mainstay_base::{Clock as _, SystemClock};
use mainstay_host::{Handle, LogFilter, LogStream, Snapshot};
use tokio::sync::{mpsc, watch};

use crate::run::announce::{Announcer, Notice, has_failed};
use crate::run::say::Voice;
use crate::run::screen::Screen;
use crate::run::signals::Signals;
use crate::run::wiring::Running;

/// How often the announcer looks without a reason.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// How long killing everything may take; the guards need milliseconds.
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// How long the last lines of the log may take.
const LAST_LINES: Duration = Duration::from_secs(1);

/// Where everything is told.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) voice: Voice,
    pub(crate) screen: Screen,
}

/// What asks the system to stop.
#[derive(Debug)]
pub(crate) struct Stops {
    pub(crate) signals: Signals,
    /// From the control API.
    pub(crate) wishes: mpsc::Receiver<()>,
    /// How long requests that are inside may take then.
    pub(crate) drain: Duration,
}

/// Follows `running` to its end and gives the exit code: 1 when an app has failed for good.
pub(crate) async fn follow(mut running: Running, mut stops: Stops, output: &Arc<Output>) -> u8 {
    let host = running.host.clone();
    let everything = LogFilter {
        follow: true,
        ..LogFilter::default()
    };
    let mut printer = tokio::spawn(print_log(host.logs(everything), Arc::clone(output)));
    let mut watcher = Watcher::new(&host, &running.system, output);
    tokio::select! {
        () = watcher.until_ended() => {}
        () = stops.signals.next() => {}
        Some(()) = stops.wishes.recv() => {}
    }
    watcher.stop().await;
    let ingress = running.take_ingress();
    let orderly = async {
        // Requests that are inside shall find the apps still there.
        if let Some(ingress) = ingress {
            ingress.stop(stops.drain).await;
        }
        host.stop();
        host.stopped().await;
    };
    tokio::select! {
        () = orderly => {}
        // Goes on telling who is waited for; never ends by itself.
        () = watcher.until_ended() => {}
        () = stops.signals.next() => {
            output.screen.write(output.voice.killing()).await;
            host.stop();
            host.stop();
            let _ = tokio::time::timeout(KILL_LIMIT, host.stopped()).await;
        }
    }
    let _ = tokio::time::timeout(LAST_LINES, &mut printer).await;
    printer.abort();
    let code = u8::from(has_failed(&host.watch().borrow()));
    output
        .screen
        .write(output.voice.stopped(&running.system, code))
        .await;
    running.finish().await;
    code
}

async fn print_log(mut log: LogStream, output: Arc<Output>) {
    while let Some(line) = log.next().await {
        output
            .screen
            .write(output.voice.line(&LogLine::from(&*line)))
            .await;
    }
}

/// Looks at the system and tells what is worth telling.
struct Watcher {
    announcer: Announcer,
    clock: SystemClock,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    system: Arc<System>,
    output: Arc<Output>,
}

impl Watcher {
    fn new(host: &Handle, system: &Arc<System>, output: &Arc<Output>) -> Self {
        let clock = SystemClock::new();
        Self {
            announcer: Announcer::new(clock.now()),
            clock,
            snapshots: host.watch(),
            system: Arc::clone(system),
            output: Arc::clone(output),
        }
    }

    /// Tells what happens until everything has ended without being asked; never returns once a stop was told. Cancel
    /// safe.
    async fn until_ended(&mut self) {
        loop {
            let snapshot = Arc::clone(&self.snapshots.borrow_and_update());
            let notice = self.announcer.look(&snapshot, self.clock.now());
            let ended = notice == Some(Notice::AllEnded);
            self.tell(notice).await;
            if ended {
                return;
            }
            // The host outlives this, so the channel does not close; the interval bounds the wait anyway.
            let _ = tokio::time::timeout(LOOK_INTERVAL, self.snapshots.changed()).await;
        }
    }

    /// Tells that the system begins to stop.
    async fn stop(&mut self) {
        let snapshot = Arc::clone(&self.snapshots.borrow());
        let notice = self.announcer.stop(&snapshot, self.clock.now());
        self.tell(notice).await;
    }

    async fn tell(&self, notice: Option<Notice>) {
        if let Some(notice) = notice {
            let text = self.output.voice.notice(&notice, &self.system);
            self.output.screen.write(text).await;
        }
    }
}
