//! `check`, `explain` and `schema`: what they print and how they exit.

use serde_json::Value;

use crate::harness::system::run;

const GOOD: &str = "
apps:
  shop: { command: x, replicas: 2, ingress: { path: / }, calls: [orders], sla: { latency: 300ms, availability: 99.8% } }
  orders: { command: x, replicas: 2, sla: { latency: 120ms, availability: 99.9% } }
";

fn manifest(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("mainstay.yaml"), text).expect("a manifest");
    folder
}

#[tokio::test]
async fn check_answers_yes_no_and_wrong() {
    let broken = GOOD.replace("120ms", "800ms");
    let wrong = GOOD.replace("120ms", "800");
    for (text, code, says) in [
        (GOOD, 0, "the SLAs can hold"),
        (&broken, 1, "its calls take orders 800ms"),
    ] {
        let folder = manifest(text);
        let path = folder.path().to_str().expect("text");
        let output = run(&["check", path], &[]).await;
        assert_eq!(output.code, code, "{output:?}");
        assert!(output.stdout.contains(says), "{output:?}");
        assert!(
            !output.stdout.contains('\u{1b}'),
            "no colours in a pipe: {output:?}"
        );
        let output = run(&["check", "--json", path], &[]).await;
        let report: Value = serde_json::from_str(&output.stdout).expect("JSON");
        assert_eq!((output.code, &report["holds"]), (code, &Value::Bool(code == 0)));
    }
    let folder = manifest(&wrong);
    let path = folder.path().to_str().expect("text");
    let output = run(&["check", path], &[]).await;
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.stderr.contains("mainstay.yaml:4:"), "{output:?}");
    assert!(output.stderr.contains("is it 800ms or 800s?"), "{output:?}");
    let output = run(&["check", "--json", path], &[]).await;
    let report: Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(output.code, 2);
    assert_eq!(report["diagnostics"][0]["code"], "M009");
}

#[tokio::test]
async fn explain_shows_the_sum_and_the_origin() {
    let folder = manifest(GOOD);
    let path = folder.path().to_str().expect("text");
    let output = run(&["explain", "shop->orders", "--dir", path], &[]).await;
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stdout.contains("2 x p99 = 2 x 120ms"), "{output:?}");
    assert!(
        output.stdout.contains("sla of orders (mainstay.yaml:4)"),
        "{output:?}"
    );
    let output = run(&["explain", "--json", "shop", "orders", "--dir", path], &[]).await;
    let explained: Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(explained["edge"][0]["value"], "240ms");
    let output = run(&["explain", "shop->order", "--dir", path], &[]).await;
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.stderr.contains("did you mean `orders`?"), "{output:?}");
}

#[tokio::test]
async fn every_command_takes_dir_and_those_without_another_argument_the_folder_alone() {
    let folder = manifest(GOOD);
    let path = folder.path().to_str().expect("text");
    let file = format!("{path}/mainstay.yaml");
    for arguments in [
        &["check", path][..],
        &["check", &file],
        &["check", "--dir", path],
        &["explain", "--dir", path],
        &["explain", "shop->orders", "--dir", &file],
    ] {
        let output = run(arguments, &[]).await;
        assert_eq!(output.code, 0, "{arguments:?} {output:?}");
    }
    for (arguments, says) in [
        (&["explain", path][..], "the folder of the manifest with --dir"),
        (&["check", path, "--dir", path], "cannot be used with"),
        (&["run", path, "--dir", path], "cannot be used with"),
    ] {
        let output = run(arguments, &[]).await;
        assert_eq!(output.code, 2, "{arguments:?} {output:?}");
        assert!(output.stderr.contains(says), "{output:?}");
    }
}

#[tokio::test]
async fn the_schema_is_json() {
    let output = run(&["schema"], &[]).await;
    let schema: Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(
        (output.code, &schema["title"]),
        (0, &Value::from("Mainstay manifest"))
    );
}

/// The promises of every example hold.
#[tokio::test]
async fn the_examples_hold() {
    for example in ["shop", "client-server", "multitier", "microservices"] {
        let path = format!("{}/../../examples/{example}", env!("CARGO_MANIFEST_DIR"));
        let output = run(&["check", &path], &[]).await;
        assert_eq!(output.code, 0, "{output:?}");
    }
}
