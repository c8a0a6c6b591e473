//! The manifest as it is written: the one source of its JSON schema, of the check and of the documentation.

mod archive;
mod cache;

use schemars::JsonSchema;
use serde::Deserialize;

pub(crate) use self::archive::Archive;
pub(crate) use self::cache::{Cache, Component, StateCache};
use crate::document::Named;
use crate::document::form::{
    AvailabilityForm, DurationForm, Formed, NameForm, PositiveDurationForm, ReplicasForm, Text, VariableForm,
};

/// A time with its unit: `300ms`, `5s`, `1m30s`.
pub(crate) type Time = Formed<DurationForm>;
/// A time above zero.
pub(crate) type PositiveTime = Formed<PositiveDurationForm>;
/// The name of an app.
pub(crate) type Name = Formed<NameForm>;

/// What a system is made of: its apps, what each of them promises, and who calls whom.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "Mainstay manifest", extend(
    "patternProperties" = { "^x-": true },
    "x-elsewhere" = {
        "version": "the manifest has no version; take the line out",
        "services": "write `apps`",
        "externals": "write `external`",
    }
))]
pub(crate) struct File {
    /// The name of the system; the name of the folder when absent.
    pub(crate) name: Option<Name>,
    /// The apps that Mainstay runs, by name.
    pub(crate) apps: Named<App, NameForm>,
    /// Services that are called and not run, by name.
    #[serde(default)]
    pub(crate) external: Named<External, NameForm>,
    /// Where everything durable lies: `embedded` (in the data directory; so when absent), or the URL of a PostgreSQL
    /// database. `${NAME}` is replaced from the environment, which keeps passwords out of the file.
    #[schemars(extend("examples" = ["embedded", "${DATABASE_URL}", "postgres://mainstay@localhost:5432/shop"]))]
    pub(crate) store: Option<String>,
    /// What is said of components, by name: of `statestore`, which is there without a file, or of those of `resources`.
    #[serde(default)]
    pub(crate) components: Named<Component>,
    /// Keeps all changes of the store, so that `mainstay restore` can bring back any moment since a backup.
    pub(crate) archive: Option<Archive>,
    /// Folder of Dapr resource files, seen from the manifest.
    pub(crate) resources: Option<String>,
}

/// One app.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend(
    "x-later" = {
        "publishes": "messages are not part of this version",
        "subscribes": "messages are not part of this version",
    },
    "x-elsewhere" = {
        "environment": "write `env`", "depends_on": "write `needs`", "ports": "write `port`",
        "working_dir": "write `dir`", "entrypoint": "write `command`", "scale": "write `replicas`",
        "deploy": "write `replicas` and `sla`", "healthcheck": "write `probes`",
        "stop_signal": "write `stop: { signal: … }`", "stop_grace_period": "write `stop: { grace: … }`",
        "appID": "the app's name is its key under `apps`", "appPort": "write `port`",
        "appDirPath": "write `dir`", "configFilePath": "write `config: NAME` of a Configuration in the folder of `resources`", "appProtocol": "write `protocol`",
        "image": "apps are processes: give the `command` that starts it",
    }
))]
pub(crate) struct App {
    /// Program and arguments, as a list or as one line split at blanks (quotes keep blanks). No shell reads it.
    /// `${NAME}` is replaced from the app's and Mainstay's environment; `${PORT}` is the replica's port.
    pub(crate) command: Command,
    /// Working directory, seen from the manifest; the manifest's folder when absent.
    pub(crate) dir: Option<String>,
    /// The port it listens on; without it each replica is given a free one in `$PORT`.
    #[schemars(range(min = 1))]
    pub(crate) port: Option<u16>,
    /// What it speaks on its port.
    #[serde(default)]
    pub(crate) protocol: Protocol,
    /// How many copies: `2`, or the smallest and the largest number, `2..6`; the smallest is run.
    pub(crate) replicas: Option<Replicas>,
    /// Environment variables.
    #[serde(default)]
    pub(crate) env: Named<Text, VariableForm>,
    /// Files with environment variables; `env` wins over them, a later file over an earlier one.
    pub(crate) env_file: Option<OneOrMany<String>>,
    /// Apps that must be there before this one starts: a list (healthy), or a mapping to a condition.
    #[serde(default)]
    pub(crate) needs: Needs,
    /// How its health is found out.
    #[serde(default)]
    pub(crate) probes: Probes,
    /// Whether it is started again when it ends; `on-failure` when absent.
    pub(crate) restart: Option<Restart>,
    /// How it is ended.
    #[serde(default)]
    pub(crate) stop: Stop,
    /// Requests that the front door gives to it.
    pub(crate) ingress: Option<OneOrMany<Ingress>>,
    /// Whom it calls: a list, or a mapping with settings per call. Other calls are refused.
    #[serde(default)]
    pub(crate) calls: Calls,
    /// The Dapr Configuration in the folder of `resources` that says which secrets it may read; when absent the only one
    /// there is.
    pub(crate) config: Option<String>,
    /// What it promises; policies are derived from it.
    #[serde(default)]
    pub(crate) sla: Sla,
}

/// A list of words, or one line.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Command {
    /// Program and arguments.
    List(#[schemars(length(min = 1))] Vec<Text>),
    /// One line, split at blanks.
    Line(String),
}

/// What an app speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    /// HTTP/1.1.
    #[default]
    Http,
    /// HTTP/2 without TLS.
    H2c,
    /// gRPC without TLS.
    Grpc,
}

/// A number, or a range.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Replicas {
    /// That many.
    Fixed(#[schemars(range(min = 1, max = 100))] u32),
    /// `2..6`.
    Range(Formed<ReplicasForm>),
}

/// One of something, or a list of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum OneOrMany<T> {
    /// A list.
    Many(Vec<T>),
    /// One.
    One(T),
}

impl<T> OneOrMany<T> {
    /// All of them.
    pub(crate) fn as_slice(&self) -> &[T] {
        match self {
            Self::Many(all) => all,
            Self::One(one) => std::slice::from_ref(one),
        }
    }
}

/// A list of names, or a mapping from names to settings.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Needs {
    /// All of them healthy.
    List(Vec<Name>),
    /// Each with its condition.
    Map(Named<Condition, NameForm>),
}

impl Default for Needs {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

/// Until when another app is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Condition {
    /// Its processes run.
    Started,
    /// Its replicas are ready.
    Healthy,
    /// It ended with exit code 0.
    Completed,
}

/// The three probes of Kubernetes. Without a readiness probe, an app is ready once its port accepts connections.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Probes {
    /// Holds back the other two until it succeeded; failing restarts the replica.
    pub(crate) startup: Option<Probe>,
    /// Failing takes the replica out of traffic.
    pub(crate) readiness: Option<Probe>,
    /// Failing restarts the replica.
    pub(crate) liveness: Option<Probe>,
}

/// One probe: exactly one of `http`, `tcp`, `exec` and `log`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-elsewhere" = {
    "httpGet": "write `http: /path`", "tcpSocket": "write `tcp: {}`", "test": "write `exec`",
    "interval": "write `period`", "retries": "write `failure_threshold`", "start_period": "write `initial_delay`",
    "initialDelaySeconds": "write `initial_delay: 5s`", "periodSeconds": "write `period: 5s`",
    "timeoutSeconds": "write `timeout: 5s`", "successThreshold": "write `success_threshold`",
    "failureThreshold": "write `failure_threshold`",
}))]
pub(crate) struct Probe {
    /// `GET` of this path answers 200 to 399.
    pub(crate) http: Option<HttpProbe>,
    /// The port accepts a connection; `{}` means the app's own port.
    pub(crate) tcp: Option<TcpProbe>,
    /// This command exits with 0.
    pub(crate) exec: Option<Command>,
    /// A line of output contains this text.
    #[schemars(length(min = 1))]
    pub(crate) log: Option<String>,
    /// Wait before the first try; none when absent.
    pub(crate) initial_delay: Option<Time>,
    /// Time between tries; 1 s when absent.
    pub(crate) period: Option<PositiveTime>,
    /// How long a try may take; 1 s when absent.
    pub(crate) timeout: Option<PositiveTime>,
    /// Successes in a row that make it good; 1 when absent.
    #[schemars(range(min = 1))]
    pub(crate) success_threshold: Option<u32>,
    /// Failures in a row that make it bad; 3 when absent.
    #[schemars(range(min = 1))]
    pub(crate) failure_threshold: Option<u32>,
}

/// A path, or a path on another port.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum HttpProbe {
    /// On the app's own port.
    Path(String),
    /// On any port.
    Full(HttpProbeFull),
}

/// Where an HTTP probe asks.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpProbeFull {
    /// Path with query.
    pub(crate) path: String,
    /// Another port than the app's.
    #[schemars(range(min = 1))]
    pub(crate) port: Option<u16>,
}

/// A port, or the app's own.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum TcpProbe {
    /// This one.
    Port(#[schemars(range(min = 1))] u16),
    /// The app's own unless one is given.
    Full(TcpProbeFull),
}

/// Where a TCP probe connects.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TcpProbeFull {
    /// Another port than the app's.
    #[schemars(range(min = 1))]
    pub(crate) port: Option<u16>,
}

/// A word, or the word with its bounds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Restart {
    /// With the usual bounds.
    Word(RestartWord),
    /// With bounds of its own.
    Full(RestartFull),
}

/// When an app that ended is started again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RestartWord {
    /// Whatever its end.
    Always,
    /// After an exit code other than 0, or a signal.
    #[default]
    OnFailure,
    /// Not at all.
    Never,
}

/// When and how fast an app that ended is started again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RestartFull {
    /// When; `on-failure` when absent.
    #[serde(default)]
    pub(crate) policy: RestartWord,
    /// Wait before the first restart; 500 ms when absent.
    pub(crate) backoff_min: Option<PositiveTime>,
    /// Longest wait; each restart in a row doubles it; 30 s when absent.
    pub(crate) backoff_max: Option<PositiveTime>,
    /// Running this long makes the next wait the shortest again; 30 s when absent.
    pub(crate) calm: Option<PositiveTime>,
    /// Give up after this many restarts in a row; never when absent.
    pub(crate) max_restarts: Option<u32>,
}

/// How an app is ended.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Stop {
    /// The signal that asks it to end.
    #[serde(default)]
    pub(crate) signal: Signal,
    /// How long it may take before its whole process group is killed; 10 s when absent.
    pub(crate) grace: Option<Time>,
}

/// A signal by its name.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Signal {
    /// Ends a program politely.
    #[default]
    SigTerm,
    /// Ctrl-C.
    SigInt,
    /// Ctrl-\, often with a core dump.
    SigQuit,
    /// The terminal is gone.
    SigHup,
    /// Of the program's own meaning.
    SigUsr1,
    /// Of the program's own meaning.
    SigUsr2,
    /// Ends it at once; it cannot clean up.
    SigKill,
}

/// Requests that the front door gives to an app. The longest path wins; a route with a host wins over one without.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Ingress {
    /// Beginning of the path, at a `/`; everything when absent.
    #[serde(default = "root_path")]
    pub(crate) path: String,
    /// The host, or `*.example.org`; any when absent.
    pub(crate) host: Option<String>,
}

fn root_path() -> String {
    "/".to_owned()
}

/// A list of names, or a mapping from names to settings.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Calls {
    /// With the usual settings.
    List(Vec<Name>),
    /// Each with its settings.
    Map(Named<Option<Call>, NameForm>),
}

impl Default for Calls {
    fn default() -> Self {
        Self::List(Vec::new())
    }
}

/// Settings of one call.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Call {
    /// What is answered when there is no answer: a fixed answer, or another app.
    pub(crate) fallback: Option<Fallback>,
    /// Sends a second attempt when the first is slow (at most 5 % more calls). Only for calls that may be made twice.
    #[serde(default)]
    pub(crate) hedge: bool,
    /// Who is served first when there is not enough for all; the caller's own priority when absent.
    pub(crate) priority: Option<Priority>,
    /// How often the call is made for one request, one after another; 1 when absent. For the SLA arithmetic.
    #[schemars(range(min = 1, max = 1000))]
    pub(crate) per_request: Option<u32>,
    /// Whether it is made at the same time as the other parallel calls of this app. For the SLA arithmetic.
    #[serde(default)]
    pub(crate) parallel: bool,
    /// Keeps answers to `GET` and `HEAD` for a time, and gives them again.
    pub(crate) cache: Option<Cache>,
}

/// What is answered when there is no answer: `app`, or a fixed answer out of the other keys.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fallback {
    /// The app or external service that gets the same request instead; a call to it must be declared as well.
    pub(crate) app: Option<Name>,
    /// The status of the fixed answer; 200 when absent.
    #[schemars(range(min = 200, max = 599))]
    pub(crate) status: Option<u16>,
    /// The content type of the fixed answer; `application/json` when absent.
    pub(crate) content_type: Option<String>,
    /// The body of the fixed answer; empty when absent.
    pub(crate) body: Option<String>,
}

/// Who is served first when there is not enough for all.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Priority {
    /// May wait for hours.
    Bulk,
    /// Nice to have.
    Low,
    /// Everything that says nothing else.
    Normal,
    /// The system fails its purpose without it.
    Critical,
}

/// What an app promises to those who call it.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sla {
    /// How fast it answers: the 99th percentile, or `{ p99, max }`.
    pub(crate) latency: Option<Latency>,
    /// How often it answers well, in per cent.
    pub(crate) availability: Option<Formed<AvailabilityForm>>,
    /// How many calls one replica handles at a time; learnt when absent.
    #[schemars(range(min = 1))]
    pub(crate) concurrency: Option<u32>,
    /// How important the requests are that come to it through the front door, and the calls it makes for others.
    pub(crate) priority: Option<Priority>,
}

/// The 99th percentile, or that and the longest time.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub(crate) enum Latency {
    /// The 99th percentile.
    P99(PositiveTime),
    /// Both.
    Full(LatencyFull),
}

/// How fast an app answers.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LatencyFull {
    /// 99 of 100 answers come within this time.
    pub p99: PositiveTime,
    /// No answer takes longer; twice `p99` when absent.
    pub(crate) max: Option<PositiveTime>,
}

/// A service that is called and not run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct External {
    /// Where it is: `https://host[:port][/path]`. A Dapr `HTTPEndpoint` of the same name may give it instead.
    /// Its certificate must be one that the machine trusts; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others to trust.
    pub(crate) url: Option<String>,
    /// Headers added to every request.
    #[serde(default)]
    pub(crate) headers: Named<Text>,
    /// What it promises.
    #[serde(default)]
    pub(crate) sla: Sla,
}
