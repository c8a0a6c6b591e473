//! The task that owns the migrations of a system, one after another.

use std::sync::Arc;
use std::time::Duration;

use mainstay_store::Switch;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::board::Board;
use crate::job::{Done, Job, check_empty};
use crate::journal::{Place, Record};
use crate::port::OpenStore;
use crate::stage::{Stage, Task, Untimely, Wish};
use crate::start::Options;
use crate::status::{Problem, Status};
use crate::trouble::Trouble;
use crate::writer::Writer;

/// How long to wait before something is tried again: doubled after each attempt, up to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How many may ask at a time.
const INBOX: usize = 16;

/// Owns the migrations of a system.
pub struct Service {
    options: Options,
    switch: Switch,
    board: Arc<Board>,
    /// The store that is in use.
    present: (Place, Arc<dyn OpenStore>),
    under_way: Option<(Job, Writer)>,
}

/// Asks the service. Clones ask the same one.
#[derive(Clone, Debug)]
pub struct Handle {
    inbox: mpsc::Sender<Message>,
    status: watch::Receiver<Option<Status>>,
}

/// The task of the service; it ends when this is dropped.
#[derive(Debug)]
pub struct Running(JoinHandle<()>);

/// Why the service does not do what was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no migration.
    #[error("nothing is being migrated: begin with `mainstay migrate --to STORE`")]
    NoMigration,
    /// There is one already.
    #[error("{0} is being migrated to {1} already: see `mainstay migrate status`")]
    UnderWay(String, String),
    /// Not now.
    #[error("{0}")]
    Untimely(#[from] Untimely),
    /// This names no store.
    #[error("{0}")]
    Reference(String),
    /// The target cannot be what it should.
    #[error("{0}")]
    Target(String),
    /// The service has ended.
    #[error("the system is stopping")]
    Stopping,
}

#[derive(Debug)]
enum Message {
    Begin {
        to: String,
        from: Option<String>,
        answer: oneshot::Sender<Result<(), Refusal>>,
    },
    Wish {
        wish: Wish,
        answer: oneshot::Sender<Result<(), Refusal>>,
    },
}

impl Service {
    pub(crate) fn new(
        options: Options,
        switch: Switch,
        board: Arc<Board>,
        opened: Arc<dyn OpenStore>,
        under_way: Option<(Job, Writer)>,
    ) -> Self {
        let present = (options.place.clone(), opened);
        Self {
            options,
            switch,
            board,
            present,
            under_way,
        }
    }

    /// Starts the task on the present runtime.
    pub fn spawn(self) -> (Handle, Running) {
        let (sender, inbox) = mpsc::channel(INBOX);
        let handle = Handle {
            inbox: sender,
            status: self.board.watch(),
        };
        (handle, Running(tokio::spawn(self.run(inbox))))
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<Message>) {
        loop {
            if let Some((job, writer)) = self.under_way.take() {
                let Some(stage) = drive(&job, writer, &self.board, &mut inbox).await else {
                    return;
                };
                self.settle(job, &stage);
            } else {
                match inbox.recv().await {
                    None => return,
                    Some(Message::Begin { to, from, answer }) => {
                        let begun = self.begin(&to, from.as_deref()).await;
                        let _ = answer.send(begun);
                    }
                    Some(Message::Wish { wish, answer }) => {
                        let _ = answer.send(Err(self.no_migration(wish)));
                    }
                }
            }
        }
    }

    /// Begins a migration: all that can be said at once is said before anything is recorded.
    async fn begin(&mut self, to: &str, from: Option<&str>) -> Result<(), Refusal> {
        let target = self.options.stores.locate(to).map_err(Refusal::Reference)?;
        let source = self.source(from)?;
        if source.location == target.location {
            let message = format!("what is stored is in {} already", target.location);
            return Err(Refusal::Target(message));
        }
        let opened = self.options.stores.open(&target).await;
        let opened = opened.map_err(|problem| Refusal::Target(problem.message))?;
        if let Err(trouble) = check_empty(&opened.store(), &target).await {
            opened.close().await;
            return Err(Refusal::Target(trouble.to_string()));
        }
        let began_unix_ms = self.options.wall_clock.unix_ms();
        let record = Record {
            source: source.clone(),
            target: target.clone(),
            began_unix_ms,
            recorded_unix_ms: began_unix_ms,
            stage: Stage::Preparing,
        };
        let saved = self.options.journal.save(&record).await;
        saved.map_err(|error| Refusal::Target(error.to_string()))?;
        let job = Job::new(
            Arc::clone(&self.options.stores),
            self.switch.clone(),
            Arc::clone(&self.board),
            self.options.settings,
            (source, target),
        );
        let job = job.map_err(|error| Refusal::Target(error.to_string()))?;
        let job = job.with_source(Arc::clone(&self.present.1)).with_target(opened);
        let (journal, wall_clock) = (&self.options.journal, &self.options.wall_clock);
        let writer = Writer::resume(
            Arc::clone(journal),
            Arc::clone(wall_clock),
            Arc::clone(&self.board),
            record,
        );
        self.under_way = Some((job, writer));
        Ok(())
    }

    /// Where everything is, as it is found again after a restart.
    fn source(&self, from: Option<&str>) -> Result<Place, Refusal> {
        let present = &self.present.0;
        let Some(from) = from else {
            if present.reference.is_empty() {
                return Err(Refusal::Reference(
                    "the manifest spells out the URL of its store with a password, which is not written anywhere else: \
                     put the URL into a variable, and name it with --from '${NAME}'"
                        .to_owned(),
                ));
            }
            return Ok(present.clone());
        };
        let named = self.options.stores.locate(from).map_err(Refusal::Reference)?;
        if named.location != present.location {
            return Err(Refusal::Reference(format!(
                "`{from}` is {}, and what is stored is in {}",
                named.location, present.location
            )));
        }
        Ok(named)
    }

    fn no_migration(&self, wish: Wish) -> Refusal {
        let status = self.board.watch();
        let over = status.borrow().as_ref().map(|status| status.phase);
        match over {
            Some(crate::status::Phase::Finished) => refused(&Stage::Finished, wish),
            Some(crate::status::Phase::BackedOut) => refused(&Stage::BackedOut, wish),
            _ => Refusal::NoMigration,
        }
    }

    /// One is over.
    fn settle(&mut self, job: Job, stage: &Stage) {
        if let Some(present) = job.into_serving(stage.recovery().serves) {
            self.present = present;
        }
    }
}

fn refused(stage: &Stage, wish: Wish) -> Refusal {
    match stage.allows(wish) {
        Err(untimely) => untimely.into(),
        Ok(()) => Refusal::NoMigration,
    }
}

/// What is wanted of a migration, and what stands in the way.
#[derive(Default)]
struct Mood {
    wish: Option<Wish>,
    /// The copy is not right: it is only followed until somebody decides.
    has_doubts: bool,
    /// Somebody has to do something first.
    is_stuck: bool,
    attempts: u32,
}

impl Mood {
    fn task(&self, stage: &Stage) -> Task {
        if self.is_stuck {
            return Task::Rest;
        }
        match stage.task(self.wish) {
            Task::Compare if self.has_doubts && self.wish.is_none() => Task::Follow,
            task => task,
        }
    }

    /// How long to wait until it is tried again.
    fn pause(&mut self) -> Duration {
        let doublings = self.attempts.min(6);
        self.attempts += 1;
        LONGEST_PAUSE.min(FIRST_PAUSE * (1 << doublings))
    }
}

/// Does what there is to do until the migration is over. Gives its last stage, or `None` when nobody can ask any more.
async fn drive(
    job: &Job,
    mut writer: Writer,
    board: &Board,
    inbox: &mut mpsc::Receiver<Message>,
) -> Option<Stage> {
    let mut mood = Mood::default();
    loop {
        let stage = writer.record().stage.clone();
        if stage.is_over() {
            return Some(stage);
        }
        let task = mood.task(&stage);
        // Once one store hands over to the other, it is done to its end.
        let hands_over = matches!(task, Task::CutOver | Task::CutBack);
        let done = tokio::select! {
            biased;
            message = inbox.recv(), if !hands_over => {
                hear(message?, writer.record(), &mut mood, board);
                continue;
            }
            done = job.perform(task, &mut writer) => done,
        };
        match done {
            Ok(done) => finish(done, &mut writer, &mut mood, board).await,
            Err(trouble) => {
                let pause = complain(&trouble, hands_over, &mut mood, board);
                tokio::select! {
                    () = sleep(pause) => {}
                    message = inbox.recv() => hear(message?, writer.record(), &mut mood, board),
                }
            }
        }
    }
}

/// Somebody asks for something.
fn hear(message: Message, record: &Record, mood: &mut Mood, board: &Board) {
    match message {
        Message::Begin { answer, .. } => {
            let (source, target) = (record.source.location.clone(), record.target.location.clone());
            let _ = answer.send(Err(Refusal::UnderWay(source, target)));
        }
        Message::Wish { wish, answer } => {
            let allowed = record.stage.allows(wish);
            if allowed.is_ok() {
                *mood = Mood {
                    wish: Some(wish),
                    ..Mood::default()
                };
                board.problem(None);
                if wish == Wish::Verify {
                    board.verified(None);
                }
            }
            let _ = answer.send(allowed.map_err(Refusal::from));
        }
    }
}

/// Something was done.
async fn finish(done: Done, writer: &mut Writer, mood: &mut Mood, board: &Board) {
    board.works();
    let stage = match done {
        Done::Stage(stage) => stage,
        Done::Same => {
            mood.wish = None;
            board.at(writer.record());
            return;
        }
        Done::Differs(message) => {
            tracing::error!("{message}");
            board.problem(Some(Problem {
                message,
                is_retried: false,
            }));
            mood.has_doubts = true;
            match &writer.record().stage {
                Stage::Ready => Stage::Following,
                other => other.clone(),
            }
        }
    };
    *mood = Mood {
        has_doubts: mood.has_doubts,
        ..Mood::default()
    };
    let mut attempts = Mood::default();
    while let Err(error) = writer.save(&stage).await {
        let pause = complain(&error.into(), false, &mut attempts, board);
        sleep(pause).await;
    }
}

/// Something did not work. Gives how long to wait.
fn complain(trouble: &Trouble, hands_over: bool, mood: &mut Mood, board: &Board) -> Duration {
    let is_retried = matches!(trouble, Trouble::Passing(_)) && !hands_over;
    if mood.attempts == 0 {
        tracing::warn!("migration: {trouble}");
    }
    board.problem(Some(Problem {
        message: if hands_over {
            format!("the other store did not take over: {trouble}")
        } else {
            trouble.to_string()
        },
        is_retried,
    }));
    if hands_over {
        // Commits waited for it, so it is not tried again until somebody asks.
        mood.wish = None;
        return Duration::ZERO;
    }
    mood.is_stuck = !is_retried;
    mood.pause()
}

impl Handle {
    /// How the present migration is, or the last one since Mainstay was started; `None` when there was none.
    pub fn status(&self) -> Option<Status> {
        self.status.borrow().clone()
    }

    /// Waits until the status has changed. `false` when the service has ended. Cancel safe.
    pub async fn changed(&mut self) -> bool {
        self.status.changed().await.is_ok()
    }

    /// Begins to move everything to the store that `to` names. `from` names the present one, where the manifest does not
    /// say how it is found again.
    pub async fn begin(&self, to: &str, from: Option<&str>) -> Result<(), Refusal> {
        let (to, from) = (to.to_owned(), from.map(str::to_owned));
        self.ask(|answer| Message::Begin { to, from, answer }).await
    }

    /// Asks for something. It is done in the background: see [`Handle::status`].
    pub async fn wish(&self, wish: Wish) -> Result<(), Refusal> {
        self.ask(|answer| Message::Wish { wish, answer }).await
    }

    async fn ask(
        &self,
        message: impl FnOnce(oneshot::Sender<Result<(), Refusal>>) -> Message,
    ) -> Result<(), Refusal> {
        let (answer, answered) = oneshot::channel();
        let sent = self.inbox.send(message(answer)).await;
        sent.map_err(|_| Refusal::Stopping)?;
        answered.await.unwrap_or(Err(Refusal::Stopping))
    }
}

impl Running {
    /// Ends the task; what is under way goes on at the next start.
    pub async fn stop(mut self) {
        self.0.abort();
        // Waited for, so that it lets go of its stores.
        let _ = (&mut self.0).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.abort();
    }
}
