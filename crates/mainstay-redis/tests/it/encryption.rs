//! TLS.

use std::fs;

use mainstay_redis::redis::cmd;
use mainstay_redis::test_server::{TestServer, available, free_port};
use mainstay_redis::{Options, Redis, RedisError, Tls, Topics};
use zeroize::Zeroizing;

/// A server that speaks TLS with a certificate that nobody has signed, and asks for the client's when `ask` is `yes`.
async fn encrypted(ask: &str) -> (TestServer, Options, rcgen::CertifiedKey<rcgen::KeyPair>) {
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let port = free_port();
    let server = TestServer::prepare(&[
        "--tls-port",
        &port.to_string(),
        "--tls-cert-file",
        "cert.pem",
        "--tls-key-file",
        "key.pem",
        "--tls-ca-cert-file",
        "cert.pem",
        "--tls-auth-clients",
        ask,
    ]);
    fs::write(server.folder().join("cert.pem"), certificate.cert.pem()).unwrap();
    fs::write(
        server.folder().join("key.pem"),
        certificate.signing_key.serialize_pem(),
    )
    .unwrap();
    let server = server.running().await;
    let mut options = Options::new("localhost", port);
    options.tls = Some(Tls::default());
    options.max_retries = 0;
    (server, options, certificate)
}

#[tokio::test]
async fn an_unknown_certificate_is_refused() {
    if !available() {
        return;
    }
    let (_server, mut options, _) = encrypted("no").await;
    let refused = Redis::connect(options.clone()).await.unwrap_err();
    assert!(
        matches!(&refused, RedisError::Unavailable(reason) if reason.contains("certificate")),
        "{refused}"
    );
    options.tls = Some(Tls {
        insecure: true,
        ..Tls::default()
    });
    let redis = Redis::connect(options).await.unwrap();
    let answer: String = redis.run(&cmd("PING")).await.unwrap();
    assert_eq!(answer, "PONG");
    redis.subscribe(Topics::Pattern("*")).await.unwrap();
}

#[tokio::test]
async fn a_client_may_have_a_certificate_too() {
    if !available() {
        return;
    }
    let (_server, mut options, certificate) = encrypted("yes").await;
    let insecure = true;
    options.tls = Some(Tls {
        insecure,
        ..Tls::default()
    });
    assert!(Redis::connect(options.clone()).await.is_err());
    let key = Zeroizing::new(certificate.signing_key.serialize_pem());
    options.tls = Some(Tls {
        insecure,
        authorities: None,
        client: Some((certificate.cert.pem(), key)),
    });
    Redis::connect(options).await.unwrap();
}
