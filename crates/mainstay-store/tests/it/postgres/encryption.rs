//! TLS to the server.

use std::net::TcpListener;

use mainstay_postgres::test_server::{TestServer, available};
use mainstay_store::Store;
use mainstay_store::postgres::{OpenError, Options, Postgres};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

/// Somebody who signs certificates.
fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut parameters = CertificateParams::new(Vec::new()).unwrap();
    parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(parameters, KeyPair::generate().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_server_has_to_prove_who_it_is() {
    if !available() {
        return;
    }
    let mut server = TestServer::prepare();
    let (trusted, other) = (authority(), authority());
    let key = KeyPair::generate().unwrap();
    let parameters = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = parameters.signed_by(&key, &trusted).unwrap();
    server.write("server.key", &key.serialize_pem());
    server.write("server.crt", &certificate.pem());
    server.write("trusted.crt", &trusted.pem());
    server.write("other.crt", &other.pem());
    // Free a moment ago; nobody else is given it soon, because the system hands out ports in turn.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let folder = server.folder().to_owned();
    let file = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    for setting in [
        "ssl=on".to_owned(),
        format!("ssl_key_file={}", file("server.key")),
        format!("ssl_cert_file={}", file("server.crt")),
    ] {
        server.set(setting);
    }
    server.listen_on(port);
    server.resume().await;

    let url = |host: &str| format!("postgres://mainstay@{host}:{port}/postgres?sslmode=require");
    let mut options = Options::new(&url("localhost")).unwrap();
    options.root_certificates = Some(folder.join("trusted.crt"));
    let store = Postgres::open(options.clone()).await.unwrap();
    assert!(store.read(&[]).await.unwrap().values.is_empty());

    for (host, authority) in [("localhost", "other.crt"), ("127.0.0.1", "trusted.crt")] {
        let mut options = Options::new(&url(host)).unwrap();
        options.root_certificates = Some(folder.join(authority));
        let error = Postgres::open(options).await.unwrap_err();
        assert!(matches!(error, OpenError::Unavailable(_)), "{error}");
        assert!(error.to_string().contains("certificate"), "{error}");
    }
    options.root_certificates = Some(folder.join("nowhere.crt"));
    let error = Postgres::open(options).await.unwrap_err();
    assert!(matches!(error, OpenError::Certificates(_)), "{error}");
}
