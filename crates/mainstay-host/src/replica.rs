//! The task of one replica: carries out what its machine decides.

use std::sync::Arc;

use mainstay_base::{Clock as _, ReplicaId};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use crate::board::Slot;
use crate::complete;
use crate::context::{Context, StopLevel, wall_clock};
use crate::live::Live;
use crate::machine::{Action, Event, Input, Machine};
use crate::output::LogWatch;
use crate::probe::Target;
use crate::{AppSpec, LogSource, Prepared, ReplicaState, Snapshot, Usage, needs, program};

/// Lines of output shown when it is given up or in a crash loop.
const LAST_LINES: usize = 10;

/// Asks for a restart; answered once the new process is ready, or why it is not.
pub(crate) type RestartRequest = oneshot::Sender<Result<(), String>>;

/// One replica.
pub(crate) struct Replica {
    context: Arc<Context>,
    spec: AppSpec,
    slot: Slot,
    id: ReplicaId,
    machine: Machine,
    live: Option<Live>,
    pid: Option<u32>,
    port: Option<u16>,
    drain: JoinSet<()>,
    restarting: Option<Restarting>,
}

struct Restarting {
    request: RestartRequest,
    /// Restarts when it was asked for.
    before: u32,
}

enum Wake {
    Input(Input),
    Restart(RestartRequest),
    /// The state of others, or the wish to stop, has changed.
    Look,
}

impl Replica {
    pub(crate) fn new(context: Arc<Context>, spec: AppSpec, slot: Slot, seed: u64) -> Self {
        let id = ReplicaId {
            app: spec.app.clone(),
            index: slot.replica as u32 + 1,
        };
        Self {
            machine: Machine::new(&spec, seed),
            context,
            spec,
            slot,
            id,
            live: None,
            pid: None,
            port: None,
            drain: JoinSet::new(),
            restarting: None,
        }
    }

    /// Runs until everything stops and this replica has come to rest.
    pub(crate) async fn run(mut self, mut restarts: mpsc::Receiver<RestartRequest>) {
        let context = Arc::clone(&self.context);
        let mut snapshot = context.board.watch();
        let mut stop = context.stop.subscribe();
        let Some(app_stop) = context.app_stops.get(self.slot.app) else {
            return;
        };
        let mut app_stop = app_stop.subscribe();
        loop {
            let level = *stop.borrow_and_update();
            let present = Arc::clone(&snapshot.borrow_and_update());
            let alone = *app_stop.borrow_and_update();
            self.consider(level, alone, &present);
            if level > StopLevel::Run && needs::is_at_rest(&self.machine.state()) {
                return;
            }
            let wait = self.machine.deadline().map(|at| at.since(context.clock.now()));
            let wake = tokio::select! {
                input = next(&mut self.live) => Wake::Input(input),
                Some(_) = self.drain.join_next() => Wake::Input(Input::Drained),
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => Wake::Input(Input::Tick),
                Some(request) = restarts.recv() => Wake::Restart(request),
                Ok(()) = snapshot.changed(), if self.watches_others(level) => Wake::Look,
                Ok(()) = stop.changed() => Wake::Look,
                Ok(()) = app_stop.changed() => Wake::Look,
            };
            match wake {
                Wake::Input(input) => self.apply(input),
                Wake::Restart(request) => self.begin_restart(request),
                Wake::Look => {}
            }
        }
    }

    /// Looks at what the others do and whether to stop, with all or `alone`.
    fn consider(&mut self, level: StopLevel, alone: bool, snapshot: &Snapshot) {
        match level {
            StopLevel::Kill => self.apply(Input::Kill),
            StopLevel::Stop => {
                let specs = &self.context.specs;
                if !self.machine.has_process() || needs::dependants_at_rest(&self.spec.app, specs, snapshot) {
                    self.apply(Input::Stop);
                }
            }
            StopLevel::Run if alone => self.apply(Input::Stop),
            StopLevel::Run => {
                if matches!(self.machine.state(), ReplicaState::Waiting(_)) {
                    let verdict = needs::verdict(&self.spec.needs, &self.context.specs, snapshot);
                    self.apply(Input::Needs(verdict));
                }
            }
        }
    }

    /// Whether the state of others can make a difference now.
    fn watches_others(&self, level: StopLevel) -> bool {
        level == StopLevel::Stop || matches!(self.machine.state(), ReplicaState::Waiting(_))
    }

    fn begin_restart(&mut self, request: RestartRequest) {
        if *self.context.stop.borrow() > StopLevel::Run {
            // One who no longer waits does not care.
            let _ = request.send(Err("was not restarted: Mainstay stops".to_owned()));
            return;
        }
        self.restarting = Some(Restarting {
            request,
            before: self.machine.restarts(),
        });
        self.apply(Input::Restart);
    }

    fn apply(&mut self, input: Input) {
        let mut next = Some(input);
        while let Some(input) = next.take() {
            self.note_process(&input);
            let actions = self.machine.apply(input, self.context.clock.now());
            for action in actions {
                // Only a start leads to a further input, and there is never more than one.
                next = self.carry_out(action).or(next);
            }
        }
        self.publish();
        self.answer_restart();
    }

    fn note_process(&mut self, input: &Input) {
        match input {
            Input::Started { pid, .. } => self.pid = Some(*pid),
            Input::Ended(_) => self.pid = None,
            Input::Gone => {
                self.pid = None;
                self.live = None;
                self.drain.abort_all();
                self.context.board.set_guard(self.slot, None);
            }
            _ => {}
        }
    }

    fn carry_out(&mut self, action: Action) -> Option<Input> {
        match action {
            Action::Start => return self.start().err(),
            Action::Log(event) => self.tell(&event),
            Action::Drain(limit) => {
                let (context, id) = (Arc::clone(&self.context), self.id.clone());
                self.drain
                    .spawn(async move { context.surroundings.drain(&id, limit).await });
            }
            Action::Probe(wanted) => {
                if let Some(live) = &mut self.live {
                    live.probe(wanted);
                }
            }
            Action::Signal(number) => {
                if let Some(live) = &self.live {
                    live.signal(number);
                }
            }
            Action::Kill => {
                if let Some(live) = &self.live {
                    live.kill();
                }
            }
            Action::Abandon => {
                if let Some(mut live) = self.live.take() {
                    live.abandon();
                }
                self.pid = None;
                self.context.board.set_guard(self.slot, None);
            }
        }
        None
    }

    fn start(&mut self) -> Result<(), Input> {
        // A missing program is found out before a port is taken for it.
        let program = self.spec.command.first().map(String::as_str).unwrap_or_default();
        let unstartable = |error: program::ProgramError| Input::Unstartable(error.to_string());
        program::check(program, &self.spec.dir, &self.spec.env).map_err(unstartable)?;
        let Prepared { port, env } = self
            .context
            .surroundings
            .prepare(&self.id)
            .map_err(|error| Input::Unavailable(error.0))?;
        self.port = port;
        let general = self.spec.env.iter();
        let general = general.map(|(name, value)| (name.clone(), complete::complete(value, &env)));
        let target = Target {
            context: Arc::clone(&self.context),
            app: self.slot.app,
            port,
            env: general.chain(env.iter().cloned()).collect(),
            own: env.into(),
            log: Arc::new(LogWatch::new(&self.spec.probes)),
        };
        let live = Live::start(&self.id, target)?;
        self.context.board.set_guard(self.slot, live.guard_pid());
        self.live = Some(live);
        Ok(())
    }

    fn tell(&self, event: &Event) {
        let mut lines = vec![event.to_string()];
        if event.wants_output() {
            let last = self.context.logs.last_output(&self.id, LAST_LINES);
            if !last.is_empty() {
                lines.push("the last lines of its output:".to_owned());
                lines.extend(last.iter().map(|line| format!("  {}", line.text)));
            }
        }
        let source = LogSource::Event(self.id.clone());
        self.context
            .logs
            .push(wall_clock(), &source, lines.iter().map(String::as_str));
    }

    fn publish(&self) {
        let state = self.machine.state();
        self.context.board.update(self.slot, |status| {
            let new_state = status.state != state;
            // Another reason, like the next failure of the same probe, is no new state.
            if std::mem::discriminant(&status.state) != std::mem::discriminant(&state) {
                status.since = wall_clock();
            }
            status.state = state;
            let known = (status.pid, status.port, status.restarts, status.last_exit);
            (status.pid, status.port) = (self.pid, self.port);
            (status.restarts, status.last_exit) = (self.machine.restarts(), self.machine.last_exit());
            status.was_ready = self.machine.was_ready();
            if self.live.is_none() {
                status.usage = Usage::default();
            }
            new_state || known != (status.pid, status.port, status.restarts, status.last_exit)
        });
    }

    fn answer_restart(&mut self) {
        let Some(restarting) = &self.restarting else {
            return;
        };
        let begun = self.machine.restarts() > restarting.before;
        let answer = match self.machine.state() {
            ReplicaState::Ready | ReplicaState::Completed if begun => Ok(()),
            // It starts when its needs are met, and is new then.
            ReplicaState::Waiting(_) => Ok(()),
            ReplicaState::Failed(reason) => Err(reason),
            ReplicaState::BackOff(_) | ReplicaState::CrashLoop(_) => Err(match self.machine.last_exit() {
                Some(exit) => format!("ended with {exit}"),
                None => "could not be started".to_owned(),
            }),
            ReplicaState::Stopped => Err("was stopped".to_owned()),
            _ => return,
        };
        if let Some(restarting) = self.restarting.take() {
            // One who no longer waits does not care.
            let _ = restarting.request.send(answer);
        }
    }
}

async fn next(live: &mut Option<Live>) -> Input {
    match live {
        Some(live) => live.next().await,
        None => std::future::pending().await,
    }
}
