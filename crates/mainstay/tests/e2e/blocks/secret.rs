//! `mainstay secret`.

use serde_json::{Value, json};

use super::MANIFEST;
use crate::harness::{Store, System, on_each_store};

const SECRET: &str = "hunter2";

on_each_store!(
    the_app_reads_at_once_what_was_set_and_nobody_else_sees_it,
    a_secret_may_have_several_values,
    exit_codes_tell_no_from_wrong,
    a_component_gets_its_key_from_it_after_a_restart,
    the_key_is_exchanged,
);

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}"))
}

async fn the_app_reads_at_once_what_was_set_and_nobody_else_sees_it(store: Store) {
    let system = System::on(store, MANIFEST)
        .env("MAINSTAY_LOG", "trace")
        .start()
        .await;
    let api = system.api("app").await;
    let set = system.feed(&["secret", "set", "token"], b"hunter2\n").await;
    assert_eq!(set.code, 0, "{set:?}");
    let read = api.get("/v1.0/secrets/secretstore/token").await;
    assert_eq!(read.json(), json!({ "token": SECRET }));

    let hidden = system.succeeds(&["secret", "get", "token"]).await;
    assert_eq!(hidden, "token\n");
    let hidden = system.succeeds(&["secret", "get", "token", "--json"]).await;
    assert_eq!(parsed(&hidden), json!({"name": "token", "parts": ["token"]}));
    assert_eq!(
        system.succeeds(&["secret", "get", "token", "--reveal"]).await,
        SECRET
    );
    let names = system.succeeds(&["secret", "list"]).await;
    assert!(names.contains("token") && !names.contains(SECRET), "{names}");
    let names = parsed(&system.succeeds(&["secret", "list", "--json"]).await);
    assert!(
        names["version"].is_string() && names["key"].is_string(),
        "{names}"
    );

    system.succeeds(&["secret", "delete", "token"]).await;
    let gone = api.get("/v1.0/secrets/secretstore/token").await;
    assert_eq!(gone.status, 500, "{gone:?}");
    assert!(system.interrupt().await.success());
    assert!(
        !system.process().log().contains(SECRET),
        "{}",
        system.process().log()
    );
}

async fn a_secret_may_have_several_values(store: Store) {
    let system = System::on(store, MANIFEST).start().await;
    let file = system.folder().join("password");
    std::fs::write(&file, "pw").expect("a file");
    let set = system
        .feed(&["secret", "set", "db", "--part", "user"], b"ada")
        .await;
    assert_eq!(set.code, 0, "{set:?}");
    let file = file.to_str().expect("text");
    system
        .succeeds(&["secret", "set", "db", "--part", "password", "--from-file", file])
        .await;
    let read = system.api("app").await.get("/v1.0/secrets/secretstore/db").await;
    assert_eq!(read.json(), json!({ "user": "ada", "password": "pw" }));
    let part = ["secret", "get", "db", "--part", "password", "--reveal"];
    assert_eq!(system.succeeds(&part).await, "pw");
    let which = system.mainstay(&["secret", "get", "db", "--reveal"]).await;
    assert_eq!(which.code, 2, "{which:?}");
    assert!(which.stderr.contains("password, user"), "{which:?}");
}

async fn exit_codes_tell_no_from_wrong(store: Store) {
    let system = System::on(store, MANIFEST).start().await;
    for (arguments, input, code, told) in [
        (&["secret", "get", "none"][..], "", 1, "secret none not found"),
        (&["secret", "delete", "none"], "", 1, "no secret `none`"),
        (
            &["secret", "set", "s", SECRET],
            "",
            2,
            "everybody on this machine",
        ),
        (&["secret", "set", "s"], "", 2, "empty"),
        (
            &["secret", "set", "s", "--from-file", "/nowhere"],
            "",
            2,
            "/nowhere",
        ),
        (
            &["secret", "list", "--store", "secretstor"],
            "",
            2,
            "did you mean `secretstore`?",
        ),
    ] {
        let output = system.feed(arguments, input.as_bytes()).await;
        assert_eq!(output.code, code, "{output:?}");
        assert!(output.stderr.contains(told), "{output:?}");
        assert!(!output.stderr.contains(SECRET), "{output:?}");
    }
}

/// A component whose key is a secret that is not there at first.
const SEALED: &str = "\
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: sealed }
spec:
  type: state.mainstay
  version: v1
  ignoreErrors: true
  metadata:
  - name: primaryEncryptionKey
    secretKeyRef: { name: state-key, key: state-key }
auth: { secretStore: secretstore }
";

async fn a_component_gets_its_key_from_it_after_a_restart(store: Store) {
    let mut system = System::on(store, &format!("resources: resources\n{MANIFEST}"))
        .file("resources/sealed.yaml", SEALED)
        .start()
        .await;
    let path = "/v1.0/state/sealed";
    let body = r#"[{"key":"k","value":1}]"#;
    let early = system.api("app").await.post(path, body).await;
    assert_ne!(early.status, 204, "it has no key yet");
    let key = "1f".repeat(32);
    let set = system.feed(&["secret", "set", "state-key"], key.as_bytes()).await;
    assert_eq!(set.code, 0, "{set:?}");
    system.kill_and_start_again().await;
    let api = system.api("app").await;
    assert_eq!(api.post(path, body).await.status, 204);
    assert_eq!(api.get("/v1.0/state/sealed/k").await.text(), "1");
}

async fn the_key_is_exchanged(store: Store) {
    let mut system = System::on(store, MANIFEST).start().await;
    assert_eq!(system.feed(&["secret", "set", "token"], b"hunter2").await.code, 0);
    let listed = async |system: &System| parsed(&system.succeeds(&["secret", "list", "--json"]).await);
    let before = listed(&system).await;
    let file = system.data_dir().join("secrets.key");
    let old = std::fs::read_to_string(&file).expect("the key");
    let new = "2e".repeat(32);
    std::fs::write(&file, format!("{new}\n{old}")).expect("both keys");
    system.kill_and_start_again().await;
    let told = parsed(&system.succeeds(&["secret", "rewrap", "--json"]).await);
    assert_eq!(told, json!({"done": 1, "changed": 0}));
    let after = listed(&system).await;
    assert_ne!(before["key"], after["key"]);
    assert_eq!(before["version"], after["version"]);
    // The old key is not needed any more.
    std::fs::write(&file, new).expect("the new key");
    system.kill_and_start_again().await;
    assert_eq!(
        system.succeeds(&["secret", "get", "token", "--reveal"]).await,
        SECRET
    );
}
