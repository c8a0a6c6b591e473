//! What cannot be done is said, with a way out, and changes nothing.

use mainstay_postgres::test_server::available;

use super::{embedded, fill, on, schemas, url};
use crate::harness::System;
use mainstay_postgres::test_server::TestServer;

#[tokio::test]
async fn mistakes_are_told_at_once() {
    let system = System::with(&on("embedded"))
        .env("NOT_A_STORE", "redis://localhost")
        .env("NOWHERE", "postgres://me:hunter2@127.0.0.1:1/x")
        .start()
        .await;
    for (arguments, code, told) in [
        (&["migrate", "cut-over"][..], 1, "nothing is being migrated"),
        (&["migrate", "--to", "embedded"], 1, "already"),
        (&["migrate", "--to", "MISSING"], 2, "`MISSING` is not set"),
        (
            &["migrate", "--to", "NOT_A_STORE"],
            2,
            "a store cannot lie on `redis`",
        ),
        (&["migrate", "--to", "embeded"], 2, "did you mean `embedded`?"),
        (
            &["migrate", "--to", "postgres://me:hunter2@db/x"],
            2,
            "--to '${DATABASE_URL}'",
        ),
        (&["migrate", "--to", "NOWHERE"], 1, "cannot be used"),
        (&["migrate", "--to", "file:/no/such/file"], 2, "cannot read"),
        (&["migrate", "--to", "embedded", "status"], 2, "--to begins"),
    ] {
        let output = system.mainstay(arguments).await;
        assert_eq!(output.code, code, "{arguments:?}: {output:?}");
        assert!(output.stderr.contains(told), "{arguments:?}: {output:?}");
        assert!(!output.stderr.contains("hunter2"), "{output:?}");
    }
    let status = system.succeeds(&["migrate", "status"]).await;
    assert_eq!(status, "nothing is being migrated\n");
    assert!(!system.data_dir().join("migration").exists());
}

#[tokio::test]
async fn a_store_that_holds_data_is_left_alone() {
    if !available() {
        return;
    }
    let server = TestServer::start().await;
    let other = System::with(&on("${DATABASE_URL}")).env("DATABASE_URL", &url(&server));
    let other = other.start().await;
    fill(&other.api("app").await, 1).await;
    let system = embedded(&server).start().await;
    let refused = system.mainstay(&["migrate", "--to", "DATABASE_URL"]).await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("holds data"), "{refused:?}");
    assert_eq!(schemas(&server).await, 1);
    assert_eq!(
        super::value(&other.api("app").await, "filled-0-0").await.len(),
        202
    );
    // The file of a URL does as well as a variable, when nobody else can read it.
    let file = system.folder().join("url");
    std::fs::write(&file, url(&server)).expect("a file");
    let to = format!("file:{}", file.display());
    let open = system.mainstay(&["migrate", "--to", &to]).await;
    assert!(open.code == 2 && open.stderr.contains("chmod 600"), "{open:?}");
}
