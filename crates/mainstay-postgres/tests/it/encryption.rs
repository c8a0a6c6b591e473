//! TLS.

use std::net::TcpListener;

use mainstay_postgres::test_server::{TestServer, available};
use mainstay_postgres::{Options, Postgres, PostgresError};

#[tokio::test]
async fn the_certificate_is_checked() {
    if !available() {
        return;
    }
    let certificate = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let port = TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let mut server = TestServer::prepare();
    server.write("cert.pem", &certificate.cert.pem());
    server.write("key.pem", &certificate.signing_key.serialize_pem());
    let folder = server.folder().display().to_string();
    for setting in [
        "ssl=on".to_owned(),
        format!("ssl_cert_file={folder}/cert.pem"),
        format!("ssl_key_file={folder}/key.pem"),
    ] {
        server.set(setting);
    }
    server.listen_on(port);
    server.resume().await;

    let roots = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(roots.path(), certificate.cert.pem()).unwrap();
    let string =
        |host: &str| format!("host={host} port={port} user=mainstay database=postgres sslmode=require");
    let mut options = Options::new(&string("localhost")).unwrap();
    let unknown = Postgres::connect(options.clone()).await.unwrap_err();
    assert!(
        matches!(&unknown, PostgresError::Unavailable(reason) if reason.contains("certificate")),
        "{unknown}"
    );
    options.root_certificates = Some(roots.path().to_owned());
    let postgres = Postgres::connect(options).await.unwrap();
    let rows = postgres
        .query("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()", &[])
        .await
        .unwrap();
    assert!(rows.first().unwrap().get::<_, bool>(0));

    let mut other = Options::new(&string("127.0.0.1")).unwrap();
    other.root_certificates = Some(roots.path().to_owned());
    assert!(
        Postgres::connect(other).await.is_err(),
        "the certificate is for another name"
    );
}

#[tokio::test]
async fn certificates_that_cannot_be_read_are_told() {
    let mut options = Options::new("host=localhost").unwrap();
    options.root_certificates = Some("/nowhere/roots.pem".into());
    let error = Postgres::connect(options).await.unwrap_err();
    assert!(
        matches!(&error, PostgresError::Certificates(reason) if reason.contains("/nowhere")),
        "{error}"
    );
}
