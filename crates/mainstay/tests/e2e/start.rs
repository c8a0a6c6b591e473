//! Starting a system: what apps are told, where everything listens, who may ask, what is printed.

use std::collections::BTreeSet;
use std::net::TcpListener;

use crate::harness::system::run;
use crate::harness::{Client, System, eventually};

/// Two apps, one of them behind the ingress, one edge.
const DUO: &str = "
name: duo
apps:
  front:
    command: testapp
    ingress: { path: / }
    calls: [back]
  back:
    command: testapp
    replicas: 2
";

#[tokio::test]
async fn replicas_are_told_where_everything_is() {
    let system = System::with(DUO)
        .env("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
        .start()
        .await;
    let replicas = system.replicas("back").await;
    let mut ports = BTreeSet::new();
    for (place, replica) in replicas.iter().enumerate() {
        let env = system.replica("back", place).await.get("/env").await.json();
        let port = replica["port"].as_u64().expect("a port");
        assert!(ports.insert(port), "each replica has a port of its own");
        let api = system.api_address("back").await;
        for (name, value) in [
            ("PORT", port.to_string()),
            ("APP_PORT", port.to_string()),
            ("APP_ID", "back".to_owned()),
            ("DAPR_HTTP_PORT", api.port().to_string()),
            ("DAPR_GRPC_PORT", api.port().to_string()),
            ("DAPR_HTTP_ENDPOINT", format!("http://{api}")),
            ("DAPR_GRPC_ENDPOINT", format!("http://{api}")),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9".to_owned()),
            ("OTEL_SERVICE_NAME", "back".to_owned()),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                format!("service.namespace=duo,service.instance.id=back-{}", place + 1),
            ),
        ] {
            assert_eq!(env[name], value, "{name}");
        }
        assert_eq!(env["DAPR_API_TOKEN"].as_str().expect("a token").len(), 64);
    }
    let (front, back) = (system.api_token("front").await, system.api_token("back").await);
    assert_ne!(front, back, "each app has a token of its own");
}

#[tokio::test]
async fn the_manifest_and_env_files_give_variables() {
    let system = System::with(
        "
apps:
  app:
    command: [testapp, --say, \"on ${PORT} as ${GREETING}\"]
    ingress: {}
    env_file: settings.env
    env: { GREETING: hello, OTEL_SERVICE_NAME: my-service }
",
    )
    .file("settings.env", "GREETING=overridden\nFROM_FILE='a b'\n")
    .start()
    .await;
    assert_eq!(system.variable("app", "GREETING").await, "hello");
    assert_eq!(system.variable("app", "FROM_FILE").await, "a b");
    assert_eq!(system.variable("app", "OTEL_SERVICE_NAME").await, "my-service");
    let port = system.variable("app", "PORT").await;
    system.process().line_with(&format!("on {port} as hello")).await;
}

#[tokio::test]
async fn nobody_without_the_token_is_answered() {
    let system = System::start(DUO).await;
    let control = system.control().await;
    assert_eq!(control.get("/api/status").await.status, 200);
    let wrong = control.clone().with("authorization", "Bearer wrong");
    assert_eq!(wrong.get("/api/status").await.status, 401);
    assert_eq!(wrong.post("/api/stop", "").await.status, 401);
    let none = Client::new(system.api_address("front").await);
    let answer = none.get("/v1.0/metadata").await;
    assert_eq!(
        (answer.status.as_u16(), answer.text().trim()),
        (401, "invalid api token")
    );
    let other = none.with("dapr-api-token", &system.api_token("back").await);
    assert_eq!(
        other.get("/v1.0/metadata").await.status,
        401,
        "each app has its own"
    );
    assert_eq!(system.api("front").await.get("/v1.0/metadata").await.status, 200);
}

#[tokio::test]
async fn status_tells_where_everything_listens_and_the_file_goes_with_the_system() {
    let system = System::start(DUO).await;
    let report = system.status().await;
    assert_eq!(report["name"], "duo");
    assert_eq!(report["pid"], system.process().pid());
    let ingress = report["ingress_url"].as_str().expect("a URL").to_owned();
    assert_eq!(report["apps"][0]["ingress_urls"][0], format!("{ingress}/"));
    assert_eq!(system.ingress().await.get("/hello").await.json()["app"], "front");
    assert_eq!(report["status"]["apps"][1]["replicas"][1]["replica"], "back-2");
    let table = system.succeeds(&["status"]).await;
    assert!(table.contains("front -> back"), "{table}");
    assert!(table.contains("ready"), "{table}");
    let addresses = system.data_dir().join("addresses.json");
    assert!(addresses.exists());
    assert_eq!(system.interrupt().await.code(), Some(0));
    assert!(!addresses.exists());
    let output = system.mainstay(&["status"]).await;
    assert_eq!(output.code, 1, "{output:?}");
}

#[tokio::test]
async fn a_second_system_on_the_same_data_names_the_first() {
    let system = System::start(DUO).await;
    let data_dir = system.data_dir();
    let folder = system.folder().to_str().expect("text").to_owned();
    let arguments = ["run", &folder, "--data-dir", data_dir.to_str().expect("text")];
    let output = run(&arguments, &[]).await;
    assert_eq!(output.code, 1, "{output:?}");
    assert!(
        output
            .stderr
            .contains(&format!("process {}", system.process().pid())),
        "{output:?}"
    );
    assert_eq!(
        system.ingress().await.get("/").await.status,
        200,
        "the first goes on"
    );
}

#[tokio::test]
async fn a_taken_address_names_its_holder_before_anything_starts() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    for flag in ["--control-addr", "--ingress-addr"] {
        let system = System::with(DUO).argument(flag).argument(&address).launch();
        assert_eq!(system.process().wait().await.code(), Some(1));
        let log = system.process().log();
        assert!(log.contains(&format!("(pid {})", std::process::id())), "{log}");
        assert!(log.contains(flag), "{log}");
        assert!(!log.contains("started"), "{log}");
    }
}

#[tokio::test]
async fn a_taken_port_of_an_app_names_its_holder_and_harms_nobody_else() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    let manifest = format!(
        "
apps:
  stuck: {{ command: testapp, port: {port} }}
  fine: {{ command: testapp, ingress: {{}} }}
"
    );
    let system = System::with(&manifest).launch();
    let message = format!("port {port} is taken by");
    let line = system.process().line_with(&message).await;
    assert!(line.contains(&format!("(pid {})", std::process::id())), "{line}");
    system.succeeds(&["wait", "fine"]).await;
    assert_eq!(system.ingress().await.get("/").await.status, 200);
    drop(taken);
    system.succeeds(&["wait", "stuck"]).await;
}

#[tokio::test]
async fn what_is_up_and_what_to_try_is_printed_without_colors_into_a_pipe() {
    let system = System::start(DUO).await;
    system.process().line_with("duo is up after").await;
    system.process().line_with("mainstay stop --data-dir").await;
    let log = system.process().log();
    let ingress = system.addresses().await["ingress"]
        .as_str()
        .expect("an address")
        .to_owned();
    assert!(log.contains(&format!("curl http://{ingress}/")), "{log}");
    assert!(log.contains("mainstay logs -f front --data-dir"), "{log}");
    assert!(log.contains("mainstay explain 'front->back' --dir"), "{log}");
    assert!(log.contains("front    | listening on"), "{log}");
    assert!(log.contains("back-2   | listening on"), "{log}");
    assert!(!log.contains('\x1b'), "{log}");
    let token = system.api_token("front").await;
    assert!(!log.contains(&token), "secrets are not printed");
}

#[tokio::test]
async fn every_line_is_json_where_json_was_asked_for() {
    let system = System::with(DUO).argument("--json").start().await;
    system.process().line_with(r#""type":"up""#).await;
    assert_eq!(system.interrupt().await.code(), Some(0));
    system.process().line_with(r#""type":"stopped""#).await;
    let mut types = BTreeSet::new();
    for line in system.process().log().lines() {
        let event: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        types.insert(event["type"].as_str().expect("a type").to_owned());
    }
    assert_eq!(
        types.into_iter().collect::<Vec<_>>(),
        ["log", "started", "stopped", "stopping", "up"]
    );
}

#[tokio::test]
async fn a_system_ends_with_its_last_app_and_says_whether_all_went_well() {
    let job = "
apps:
  job: { command: [testapp, --exit-after, 1ms], restart: never }
";
    let system = System::with(job).launch();
    assert_eq!(system.process().wait().await.code(), Some(0));
    let failing = "
apps:
  job: { command: [testapp, --exit-after, 1ms], restart: never }
  bad: { command: [testapp, --exit-after, 1ms, --exit-code, '3'], restart: never }
";
    let system = System::with(failing).launch();
    assert_eq!(system.process().wait().await.code(), Some(1));
    let log = system.process().log();
    assert!(log.contains("failed: exit code 3"), "{log}");
}

#[tokio::test]
async fn mistakes_are_told_all_at_once_with_their_lines() {
    let system = System::with(
        "name: broken
apps:
  front:
    command: testapp
    colour: red
    calls: [bakc]
  back:
    command: testapp
    sla: { latency: 5 }
",
    )
    .launch();
    assert_eq!(system.process().wait().await.code(), Some(2));
    let log = system.process().log();
    for line in [5, 6, 9] {
        assert!(
            log.contains(&format!("mainstay.yaml:{line}")),
            "line {line}: {log}"
        );
    }
    assert!(log.contains("back"), "the nearest name: {log}");
    assert!(!system.data_dir().exists(), "nothing was begun");
    let system = System::with("apps: {}\nx: 1\n").argument("--json").launch();
    assert_eq!(system.process().wait().await.code(), Some(2));
    let log = system.process().log();
    let failure: serde_json::Value = serde_json::from_str(&log).expect("JSON");
    assert_eq!(failure["diagnostics"][0]["file"], "mainstay.yaml");
}

#[tokio::test]
async fn a_manifest_that_is_not_there_or_cannot_be_read_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("text");
    let output = run(&["run", path], &[]).await;
    assert_eq!(output.code, 2, "{output:?}");
    assert!(
        output.stderr.contains("there is no mainstay.yaml in"),
        "{output:?}"
    );
    std::fs::write(folder.path().join("mainstay.yaml"), b"name: \xff\xfe\n").expect("a file");
    let output = run(&["run", path], &[]).await;
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.stderr.contains("mainstay.yaml"), "{output:?}");
    assert!(output.stderr.contains("UTF-8"), "{output:?}");
}

#[tokio::test]
async fn wait_also_waits_for_the_system_to_come_up() {
    let folder = tempfile::tempdir().expect("a folder");
    let data_dir = folder.path().join("data").to_str().expect("text").to_owned();
    let waiting = tokio::spawn(async move { run(&["wait", "--data-dir", &data_dir], &[]).await });
    let builder = System::with(DUO);
    // The data directory of the harness is fixed, so the link leads there.
    std::os::unix::fs::symlink(builder.data_dir(), folder.path().join("data")).expect("a link");
    let system = builder.start().await;
    assert_eq!(waiting.await.expect("no panic").stdout, "all apps: ready\n");
    eventually("up", async || {
        system.process().log().contains("is up").then_some(())
    })
    .await;
}
