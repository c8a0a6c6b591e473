//! What is on the server beside the component: Dapr's component on the same data, and the server's own ways.

use std::num::NonZeroU32;

use mainstay_redis::redis::{AsyncCommands, cmd};
use mainstay_redis::test_server::{TestServer, available, free_port};
use mainstay_redis::{Options as Server, Tls};
use mainstay_state::redis::{Options, Redis};
use mainstay_state::{Concurrency, Consistency, Delete, Operation, Set, StateError, StateStore, TimeToLive};
use mainstay_store::{CommitError, ReadError};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use super::{connect, item, new_database, open, options, shared, start};

#[tokio::test]
async fn values_are_shared_with_dapr() {
    let Some(server) = shared().await else { return };
    let database = new_database();
    let state = open(options(server, database));
    let mut dapr = connect(server, database).await;

    // Dapr's component counts versions from 1.
    let _: () = dapr
        .hset_multiple("app||theirs", &[("data", "\"tea\""), ("version", "1")])
        .await
        .unwrap();
    let theirs = item(&state, "app||theirs").await.unwrap();
    assert_eq!(
        (theirs.value.as_ref(), theirs.etag.as_str()),
        (&b"\"tea\""[..], "1")
    );
    let mut set = Set::new("app||theirs", "\"coffee\"");
    set.etag = Some(theirs.etag);
    set.content_type = Some("application/json".to_owned());
    state.set(set.clone()).await.unwrap();
    let stale = state.set(set).await;
    assert!(matches!(stale, Err(StateError::EtagMismatch { .. })), "{stale:?}");

    // It changes what was set here in its own way; our next version is newer than its.
    let data: String = dapr.hget("app||theirs", "data").await.unwrap();
    assert_eq!(data, "\"coffee\"");
    let far: u64 = dapr
        .hincr("app||theirs", "version", 1_000_000_000_000_u64)
        .await
        .unwrap();
    state.set(Set::new("app||theirs", "1")).await.unwrap();
    let ours: u64 = dapr.hget("app||theirs", "version").await.unwrap();
    assert!(ours > far, "{ours} {far}");
    state.delete(Delete::new("app||theirs")).await.unwrap();
    state.set(Set::new("app||theirs", "1")).await.unwrap();
    let anew: u64 = dapr.hget("app||theirs", "version").await.unwrap();
    assert!(anew > ours, "{anew} {ours}");
}

#[tokio::test]
async fn what_is_no_state_is_not_taken_for_it() {
    let Some(server) = shared().await else { return };
    let database = new_database();
    let state = open(options(server, database));
    let mut raw = connect(server, database).await;
    let _: () = raw.set("text", "1").await.unwrap();
    let _: () = raw.hset("hash", "field", "1").await.unwrap();
    for key in ["text", "hash"] {
        let read = state.get(&[key.to_owned()], Consistency::Strong).await;
        assert_eq!(read, Err(StateError::Unreadable(key.to_owned())));
        let mut first = Set::new(key, "2");
        first.concurrency = Concurrency::FirstWrite;
        let refused = state.set(first).await;
        assert!(
            matches!(refused, Err(StateError::EtagMismatch { .. })),
            "{refused:?}"
        );
        state.set(Set::new(key, "3")).await.unwrap();
        assert_eq!(item(&state, key).await.unwrap().value, "3");
    }
}

#[tokio::test]
async fn the_component_says_how_long_values_live() {
    let Some(server) = shared().await else { return };
    let mut options = options(server, new_database());
    options.time_to_live = TimeToLive::seconds(NonZeroU32::new(600).unwrap());
    let state = open(options);
    state.set(Set::new("k", "1")).await.unwrap();
    assert!(item(&state, "k").await.unwrap().expires_at_ms.is_some());
    let mut staying = Set::new("k", "1");
    staying.time_to_live = TimeToLive::parse("-1").unwrap();
    state.set(staying).await.unwrap();
    assert_eq!(item(&state, "k").await.unwrap().expires_at_ms, None);
}

#[tokio::test]
async fn forgotten_scripts_are_sent_again() {
    let Some(server) = start(&[]).await else {
        return;
    };
    let state = open(options(&server, 0));
    state.set(Set::new("k", "1")).await.unwrap();
    let mut raw = connect(&server, 0).await;
    let _: () = cmd("SCRIPT").arg("FLUSH").query_async(&mut raw).await.unwrap();
    assert_eq!(item(&state, "k").await.unwrap().value, "1");
    state.set(Set::new("k", "2")).await.unwrap();
}

#[tokio::test]
async fn a_full_server_changes_nothing() {
    let Some(server) = start(&["--maxmemory-policy", "noeviction"]).await else {
        return;
    };
    let state = open(options(&server, 0));
    state.set(Set::new("old", "1")).await.unwrap();
    let mut raw = connect(&server, 0).await;
    let limit = |bytes: &'static str| {
        let mut command = cmd("CONFIG");
        command.arg(&["SET", "maxmemory", bytes]);
        command
    };
    let _: () = limit("1").query_async(&mut raw).await.unwrap();
    let operations = vec![
        Operation::Delete(Delete::new("old")),
        Operation::Set(Set::new("new", "1")),
    ];
    let refused = state.transact(operations.clone()).await;
    assert!(
        matches!(refused, Err(StateError::Commit(CommitError::Full(_)))),
        "{refused:?}"
    );
    assert!(item(&state, "old").await.is_some());
    let _: () = limit("0").query_async(&mut raw).await.unwrap();
    state.transact(operations).await.unwrap();
    assert!(item(&state, "old").await.is_none() && item(&state, "new").await.is_some());
}

#[tokio::test]
async fn a_server_that_may_forget_is_not_called_durable() {
    let Some(server) = start(&["--appendfsync", "everysec"]).await else {
        return;
    };
    let state = open(options(&server, 0));
    state.connect().await.unwrap();
    assert!(!state.features().durable);
}

#[tokio::test]
async fn a_wrong_password_is_told_and_not_shown() {
    let Some(server) = start(&["--requirepass", "right"]).await else {
        return;
    };
    let mut options = options(&server, 0);
    options.server.password = Some("s3cret".to_owned().into());
    let refused = open(options.clone()).connect().await.unwrap_err();
    let StateError::Read(ReadError::Unavailable(reason)) = refused else {
        panic!("{refused}");
    };
    assert!(
        reason.contains("WRONGPASS") && !reason.contains("s3cret"),
        "{reason}"
    );
    options.server.password = Some("right".to_owned().into());
    let state = open(options);
    state.set(Set::new("k", "1")).await.unwrap();
}

/// Somebody who signs certificates.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

#[tokio::test]
async fn the_server_has_to_prove_who_it_is() {
    if !available() {
        return;
    }
    let (trusted, other) = (authority(), authority());
    let tls_port = free_port();
    let server = TestServer::prepare(&[
        "--tls-port",
        &tls_port.to_string(),
        "--tls-auth-clients",
        "no",
        "--tls-key-file",
        "key.pem",
        "--tls-cert-file",
        "certificate.pem",
        "--tls-ca-cert-file",
        "authorities.pem",
    ]);
    let key = KeyPair::generate().unwrap();
    let parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = parameters.signed_by(&key, &trusted).unwrap();
    for (name, text) in [
        ("key.pem", key.serialize_pem()),
        ("certificate.pem", certificate.pem()),
        ("authorities.pem", trusted.pem()),
    ] {
        std::fs::write(server.folder().join(name), text).unwrap();
    }
    let _server = server.running().await;

    let options = |host: &str, authority: &str, insecure| {
        let mut server = Server::new(host, tls_port);
        server.tls = Some(Tls {
            insecure,
            authorities: Some(authority.to_owned()),
            client: None,
        });
        Options::from(server)
    };
    let state = open(options("localhost", &trusted.pem(), false));
    state.set(Set::new("k", "1")).await.unwrap();
    for options in [
        options("localhost", &other.pem(), false),
        options("127.0.0.1", &trusted.pem(), false),
    ] {
        let refused = open(options).connect().await.unwrap_err();
        assert!(refused.to_string().contains("certificate"), "{refused}");
    }
    let careless = open(options("127.0.0.1", &other.pem(), true));
    assert!(item(&careless, "k").await.is_some());
    assert!(Redis::new(options("localhost", "no certificate", false)).is_err());
}
