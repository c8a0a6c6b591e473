//! Commands without a running system.

use crate::harness::system::run;

#[tokio::test]
async fn without_a_running_system_the_error_says_where_it_looked_and_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("text");
    let manifest = folder.path().join("mainstay.yaml");
    std::fs::write(&manifest, "apps: {}").expect("a manifest");
    let data_dir = folder.path().join(".mainstay");
    for (command, dir) in [
        (&["status"][..], path),
        (&["logs"], path),
        (&["state", "list"], path),
        (&["config", "get", "k"], path),
        (&["secret", "list"], path),
        (&["stop"], manifest.to_str().expect("text")),
    ] {
        let output = run(&[command, &["--dir", dir]].concat(), &[]).await;
        assert_eq!(output.code, 1, "{output:?}");
        assert_eq!(output.stdout, "");
        assert!(
            output.stderr.contains(&format!("{}:", data_dir.display())),
            "{output:?}"
        );
        assert!(output.stderr.contains("mainstay run"), "{output:?}");
    }
}

#[tokio::test]
async fn failures_are_json_where_json_was_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("text");
    let output = run(&["status", "--json", "--dir", path], &[]).await;
    let failure: serde_json::Value = serde_json::from_str(&output.stderr).expect("JSON");
    assert!(
        failure["error"]
            .as_str()
            .expect("text")
            .contains("no system runs")
    );
}

#[tokio::test]
async fn wait_gives_up_when_the_time_is_over() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("text");
    let output = run(&["wait", "--timeout", "300ms", "--dir", path], &[]).await;
    assert_eq!(output.code, 1, "{output:?}");
    assert!(
        output.stderr.contains("after 300ms, no system runs"),
        "{output:?}"
    );
    let output = run(&["wait", "--for", "stopped", "--dir", path], &[]).await;
    assert_eq!(output.code, 0, "nothing runs, so it has stopped: {output:?}");
}

#[tokio::test]
async fn a_wrong_command_line_ends_with_2() {
    for arguments in [
        &["no-such-command"][..],
        &["status", "--no-such-flag"],
        &["wait", "--timeout", "5"],
        &["daprd", "--app-port", "3000"],
    ] {
        let output = run(arguments, &[]).await;
        assert_eq!(output.code, 2, "{output:?}");
        assert!(!output.stderr.is_empty());
    }
}

#[tokio::test]
async fn completion_scripts_know_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let output = run(&["completion", shell], &[]).await;
        assert_eq!(output.code, 0, "{output:?}");
        for word in ["restart", "dir", "rewrap", "history"] {
            assert!(output.stdout.contains(word), "{shell}");
        }
    }
}
