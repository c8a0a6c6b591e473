//! A running system: the real binary with a manifest in a folder of its own.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tokio::io::AsyncWriteExt as _;

use super::metrics::Metrics;
use super::process::Process;
use super::{Client, eventually, mainstay, testapp_folder, within};

/// A system that is being put together.
pub struct Builder {
    folder: TempDir,
    manifest: PathBuf,
    arguments: Vec<String>,
    env: Vec<(String, String)>,
}

/// A running system.
pub struct System {
    folder: TempDir,
    manifest: PathBuf,
    arguments: Vec<String>,
    process: Process,
    env: Vec<(String, String)>,
}

/// What a command printed and ended with.
#[derive(Debug)]
pub struct Output {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl System {
    /// Puts a system together whose manifest has this text. Its commands find the test app as `testapp`.
    pub fn with(manifest: &str) -> Builder {
        let folder = tempfile::tempdir().expect("a folder");
        let builder = Builder {
            manifest: folder.path().to_owned(),
            folder,
            arguments: Vec::new(),
            env: Vec::new(),
        };
        builder.file("mainstay.yaml", manifest)
    }

    /// Puts a system together whose manifest is in a folder that exists (an example).
    pub fn at(manifest: &Path) -> Builder {
        Builder {
            manifest: manifest.to_owned(),
            folder: tempfile::tempdir().expect("a folder"),
            arguments: Vec::new(),
            env: Vec::new(),
        }
    }

    /// Starts a system and waits until it is ready.
    pub async fn start(manifest: &str) -> Self {
        Self::with(manifest).start().await
    }

    /// Waits until every app is ready or completed.
    pub async fn ready(&self) {
        let output = self
            .mainstay(&["wait", "--for", "ready", "--timeout", "60s"])
            .await;
        assert_eq!(output.code, 0, "{output:?}");
    }

    /// Runs a command of the binary on this system to its end.
    pub async fn mainstay(&self, arguments: &[&str]) -> Output {
        let arguments = self.located(arguments);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        run(&arguments, &self.env).await
    }

    /// Runs a command on the manifest and the data of a system that does not run.
    pub async fn offline(&self, arguments: &[&str]) -> Output {
        let arguments = self.located(arguments);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut command = command(&arguments, &self.env);
        command.current_dir(&self.manifest);
        run_command(command, &arguments.join(" ")).await
    }

    /// The same with this on its standard input.
    pub async fn feed(&self, arguments: &[&str], input: &[u8]) -> Output {
        let arguments = self.located(arguments);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        run_with_input(&arguments, &self.env, input).await
    }

    /// Runs a command that has to go well, and gives what it printed.
    pub async fn succeeds(&self, arguments: &[&str]) -> String {
        let output = self.mainstay(arguments).await;
        assert_eq!(output.code, 0, "{arguments:?}: {output:?}");
        output.stdout
    }

    /// Starts a command of the binary on this system.
    pub fn spawn(&self, arguments: &[&str]) -> Process {
        let arguments = self.located(arguments);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        Process::start(&mut command(&arguments, &self.env))
    }

    fn located(&self, arguments: &[&str]) -> Vec<String> {
        let (command, rest) = arguments.split_first().expect("a command");
        let data_dir = self.data_dir();
        let mut all = vec![*command, "--data-dir", data_dir.to_str().expect("text")];
        all.extend(rest);
        all.into_iter().map(str::to_owned).collect()
    }

    /// Where it keeps its data.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// The folder of its manifest.
    pub fn folder(&self) -> &Path {
        &self.manifest
    }

    /// Writes the manifest anew.
    pub fn rewrite(&self, manifest: &str) {
        std::fs::write(self.manifest.join("mainstay.yaml"), manifest).expect("the manifest");
    }

    /// Kills Mainstay as a power cut would.
    pub async fn kill(&self) {
        self.process.signal(Signal::KILL);
        self.process.wait().await;
    }

    /// Kills Mainstay as a power cut would, and starts it again on the same data.
    pub async fn kill_and_start_again(&mut self) {
        self.kill().await;
        self.start_again().await;
    }

    /// Starts it again on the same data, after it has ended.
    pub async fn start_again(&mut self) {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        self.process = Process::start(&mut command(&arguments, &self.env));
        let pid = self.process.pid();
        eventually("the addresses of the new one", async || {
            (self.addresses().await["pid"] == pid).then_some(())
        })
        .await;
        self.ready().await;
    }

    /// The process of Mainstay.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// What `status --json` says.
    pub async fn status(&self) -> Value {
        let text = self.succeeds(&["status", "--json"]).await;
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text}"))
    }

    /// The replicas of an app, as `status --json` says.
    pub async fn replicas(&self, app: &str) -> Vec<Value> {
        let report = self.status().await;
        let apps = report["status"]["apps"].as_array().expect("apps").iter();
        apps.filter(|candidate| candidate["app"] == app)
            .flat_map(|app| app["replicas"].as_array().expect("replicas").clone())
            .collect()
    }

    /// Waits until `check` likes the replicas of an app.
    pub async fn replicas_become(
        &self,
        app: &str,
        what: &str,
        check: impl Fn(&[Value]) -> bool,
    ) -> Vec<Value> {
        eventually(&format!("{app}: {what}"), async || {
            let replicas = self.replicas(app).await;
            check(&replicas).then_some(replicas)
        })
        .await
    }

    /// A client of the front door.
    pub async fn ingress(&self) -> Client {
        Client::new(self.address("ingress").await)
    }

    /// A client of the control API, with its token.
    pub async fn control(&self) -> Client {
        let token = std::fs::read_to_string(self.data_dir().join("token")).expect("the token");
        Client::new(self.address("control").await).with("authorization", &format!("Bearer {}", token.trim()))
    }

    /// A client of an app's Dapr API, with its token.
    pub async fn api(&self, app: &str) -> Client {
        Client::new(self.api_address(app).await).with("dapr-api-token", &self.api_token(app).await)
    }

    /// Where an app's Dapr API listens.
    pub async fn api_address(&self, app: &str) -> SocketAddr {
        let addresses = self.addresses().await;
        let text = addresses["apps"][app].as_str().expect("an address");
        text.parse().expect("an address")
    }

    /// The token of an app's Dapr API, as the app itself was given it.
    pub async fn api_token(&self, app: &str) -> String {
        self.variable(app, "DAPR_API_TOKEN").await
    }

    /// A variable in the environment of the first replica of an app (a test app).
    pub async fn variable(&self, app: &str, name: &str) -> String {
        let answer = self.replica(app, 0).await.get("/env").await.json();
        answer[name]
            .as_str()
            .unwrap_or_else(|| panic!("{app} has no {name}"))
            .to_owned()
    }

    /// A client that goes past Mainstay, straight to a replica; counted from 0.
    pub async fn replica(&self, app: &str, place: usize) -> Client {
        let replicas = self.replicas(app).await;
        let port = replicas[place]["port"].as_u64().expect("a port");
        Client::new(SocketAddr::from((
            [127, 0, 0, 1],
            u16::try_from(port).expect("a port"),
        )))
    }

    /// The metrics of now.
    pub async fn metrics(&self) -> Metrics {
        Metrics::parse(&self.control().await.get("/metrics").await.text())
    }

    /// Asks it to stop as Ctrl-C does, and gives how it ended.
    pub async fn interrupt(&self) -> ExitStatus {
        self.process.signal(Signal::INT);
        self.process.wait().await
    }

    async fn address(&self, which: &str) -> SocketAddr {
        let addresses = self.addresses().await;
        let text = addresses[which]
            .as_str()
            .unwrap_or_else(|| panic!("no {which} in {addresses}"));
        text.parse().expect("an address")
    }

    /// The file that says where it listens; waits for it.
    pub async fn addresses(&self) -> Value {
        let path = self.data_dir().join("addresses.json");
        eventually("addresses.json", async || {
            assert!(!self.process.has_ended(), "it ended:\n{}", self.process.log());
            let text = std::fs::read_to_string(&path).ok()?;
            Some(serde_json::from_str(&text).expect("JSON"))
        })
        .await
    }
}

impl Builder {
    /// Adds a file beside the manifest.
    #[must_use]
    pub fn file(self, name: &str, text: &str) -> Self {
        let path = self.manifest.join(name);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, text).expect("a file");
        self
    }

    /// Where it will keep its data.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// Adds an argument to `mainstay run`.
    #[must_use]
    pub fn argument(mut self, argument: &str) -> Self {
        self.arguments.push(argument.to_owned());
        self
    }

    /// Adds a variable to the environment of Mainstay.
    #[must_use]
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it and waits until it is ready.
    pub async fn start(self) -> System {
        let system = self.launch();
        system.addresses().await;
        system.ready().await;
        system
    }

    /// Starts it and waits for nothing.
    pub fn launch(self) -> System {
        let data_dir = self.data_dir();
        let manifest = self.manifest.to_str().expect("text").to_owned();
        let mut arguments = vec!["run", &manifest, "--data-dir", data_dir.to_str().expect("text")];
        for flag in ["--control-addr", "--ingress-addr"] {
            if !self.arguments.iter().any(|argument| argument == flag) {
                arguments.extend([flag, "127.0.0.1:0"]);
            }
        }
        arguments.extend(self.arguments.iter().map(String::as_str));
        let process = Process::start(&mut command(&arguments, &self.env));
        System {
            arguments: arguments.into_iter().map(str::to_owned).collect(),
            folder: self.folder,
            manifest: self.manifest,
            process,
            env: self.env,
        }
    }
}

/// Runs the binary to its end.
pub async fn run(arguments: &[&str], env: &[(String, String)]) -> Output {
    run_command(command(arguments, env), &arguments.join(" ")).await
}

async fn run_command(command: Command, what: &str) -> Output {
    let mut command = tokio::process::Command::from(command);
    let output = within(what, command.kill_on_drop(true).output());
    ended(&output.await.expect("the program starts"))
}

/// Runs the binary to its end with this on its standard input.
async fn run_with_input(arguments: &[&str], env: &[(String, String)], input: &[u8]) -> Output {
    let mut command = tokio::process::Command::from(command(arguments, env));
    command
        .kill_on_drop(true)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stdin = child.stdin.take().expect("piped");
    let writing = async move {
        // A program that refuses its arguments reads nothing.
        let _ = stdin.write_all(input).await;
    };
    let running = async { tokio::join!(writing, child.wait_with_output()).1 };
    let output = within(&arguments.join(" "), running).await;
    ended(&output.expect("the program ends"))
}

fn ended(output: &std::process::Output) -> Output {
    Output {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// The binary with these arguments, not started yet.
pub fn command(arguments: &[&str], env: &[(String, String)]) -> Command {
    command_at(&mainstay(), arguments, env)
}

/// The binary under another name.
#[expect(
    clippy::disallowed_methods,
    reason = "the test stands outside of Mainstay and starts it as a user does"
)]
pub fn command_at(program: &Path, arguments: &[&str], env: &[(String, String)]) -> Command {
    let mut folders = vec![testapp_folder()];
    folders.extend(std::env::split_paths(
        &std::env::var_os("PATH").unwrap_or_default(),
    ));
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env("PATH", std::env::join_paths(folders).expect("a path"))
        // What a developer's shell or another test exports shall not matter.
        .env_remove("MAINSTAY_LOG")
        .env_remove("OTEL_EXPORTER_OTLP_ENDPOINT")
        .envs(env.iter().map(|(name, value)| (name, value)));
    command
}
