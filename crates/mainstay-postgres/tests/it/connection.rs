//! Logging in, errors, notifications, and what happens when the server goes.

use std::time::Duration;

use mainstay_postgres::test_server::{TestServer, available, shared};
use mainstay_postgres::{Options, Postgres, PostgresError};

const PATIENCE: Duration = Duration::from_secs(20);

async fn number(postgres: &Postgres) -> Result<i32, PostgresError> {
    let rows = postgres.query("SELECT 7", &[]).await?;
    Ok(rows.first().unwrap().get(0))
}

#[tokio::test]
async fn statements_are_answered() {
    if !available() {
        return;
    }
    let postgres = Postgres::connect(shared().await.options()).await.unwrap();
    assert_eq!(number(&postgres).await, Ok(7));
    let wrong = postgres.query("SELECT nothing", &[]).await.unwrap_err();
    assert!(
        matches!(&wrong, PostgresError::Refused(reason) if reason.contains("42703")),
        "{wrong}"
    );
    assert_eq!(number(&postgres).await, Ok(7));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_unavailable() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options::new(&format!("host={} user=mainstay", folder.path().display())).unwrap();
    let error = Postgres::connect(options).await.unwrap_err();
    assert!(matches!(error, PostgresError::Unavailable(_)), "{error}");
}

/// Nobody answers, though somebody listens.
#[tokio::test]
async fn a_silent_server_is_given_up() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut options = Options::new(&format!("host=127.0.0.1 port={port} user=mainstay")).unwrap();
    options.timeout = Duration::from_millis(50);
    let connecting = tokio::time::timeout(PATIENCE, Postgres::connect(options));
    let error = connecting.await.unwrap().unwrap_err();
    assert!(matches!(error, PostgresError::Unavailable(_)), "{error}");
}

#[tokio::test]
async fn a_slow_statement_is_given_up() {
    if !available() {
        return;
    }
    let mut options = shared().await.options();
    options.timeout = Duration::from_secs(2);
    let postgres = Postgres::connect(options).await.unwrap();
    let error = postgres.query("SELECT pg_sleep(60)", &[]).await.unwrap_err();
    assert!(matches!(error, PostgresError::UnknownOutcome(_)), "{error}");
    // Nobody waits for what the server is still doing.
    assert_eq!(number(&postgres).await, Ok(7));
}

#[tokio::test]
async fn notifications_are_heard_until_the_server_goes() {
    if !available() {
        return;
    }
    let mut server = TestServer::start().await;
    let postgres = Postgres::connect(server.options()).await.unwrap();
    let mut notifications = postgres.listen("Channel \"one\"").await.unwrap();
    postgres
        .query("SELECT pg_notify('channel', 'other')", &[])
        .await
        .unwrap();
    postgres
        .query("SELECT pg_notify('Channel \"one\"', 'payload')", &[])
        .await
        .unwrap();
    let heard = tokio::time::timeout(PATIENCE, notifications.next())
        .await
        .unwrap();
    assert_eq!(heard.as_deref(), Some("payload"));
    server.stop();
    assert_eq!(
        tokio::time::timeout(PATIENCE, notifications.next())
            .await
            .unwrap(),
        None
    );
    assert!(number(&postgres).await.is_err());
    server.resume().await;
    assert_eq!(number(&postgres).await, Ok(7));
}

#[tokio::test]
async fn names_of_channels_are_checked() {
    if !available() {
        return;
    }
    let postgres = Postgres::connect(shared().await.options()).await.unwrap();
    for wrong in ["", "a\0b", &"c".repeat(64)] {
        assert!(
            matches!(postgres.listen(wrong).await, Err(PostgresError::Refused(_))),
            "{wrong:?}"
        );
    }
}
