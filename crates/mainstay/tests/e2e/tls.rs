//! TLS towards external services: whom Mainstay trusts, and what it says when it does not.

use std::fmt::Write as _;

use http::Response;

use crate::harness::backend::Arrived;
use crate::harness::{Authority, Backend, System};

fn version((head, _): &Arrived) -> Response<String> {
    Response::new(format!("{:?} {}", head.version, head.uri.path()))
}

/// A system that trusts those in the file `trusted`, and calls the first of `services` as `service-0`.
async fn start(trusted: &str, services: &[&Backend]) -> System {
    let names: Vec<String> = (0..services.len())
        .map(|place| format!("service-{place}"))
        .collect();
    let mut manifest = format!(
        "
apps:
  front: {{ command: testapp, ingress: {{}}, calls: [{}] }}
external:
",
        names.join(", ")
    );
    for (name, service) in names.iter().zip(services) {
        let port = service.address.port();
        let _ = writeln!(manifest, "  {name}: {{ url: 'https://localhost:{port}/v2' }}");
    }
    System::with(&manifest)
        .env("SSL_CERT_FILE", trusted)
        .env("SSL_CERT_DIR", "")
        .start()
        .await
}

#[tokio::test]
async fn a_service_is_called_whose_certificate_can_be_trusted() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("authority.pem");
    let authority = Authority::new("ours");
    std::fs::write(&file, authority.pem()).expect("a file");
    let good = Backend::start_tls(authority.server("localhost", 4000), version).await;
    let system = start(file.to_str().expect("text"), &[&good]).await;
    let api = system.api("front").await;
    for _ in 0..2 {
        let answer = api.get("/v1.0/invoke/service-0/method/charge").await;
        assert_eq!(
            (answer.status.as_u16(), answer.text().as_str()),
            (200, "HTTP/2.0 /v2/charge")
        );
    }
}

#[tokio::test]
async fn a_certificate_that_cannot_be_trusted_is_named_with_its_fault() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("authority.pem");
    let authority = Authority::new("ours");
    std::fs::write(&file, authority.pem()).expect("a file");
    let stranger = Backend::start_tls(Authority::new("theirs").server("localhost", 4000), version).await;
    let another = Backend::start_tls(authority.server("pay.example", 4000), version).await;
    let expired = Backend::start_tls(authority.server("localhost", 2020), version).await;
    let plain = Backend::start(version).await;
    let services = [&stranger, &another, &expired, &plain];
    let system = start(file.to_str().expect("text"), &services).await;
    let api = system.api("front").await;
    for (place, says) in ["SSL_CERT_FILE", "pay.example", "expired", "no TLS"]
        .iter()
        .enumerate()
    {
        let answer = api
            .get(&format!("/v1.0/invoke/service-{place}/method/charge"))
            .await;
        assert_eq!(answer.status.as_u16(), 500, "{}", answer.text());
        assert!(answer.text().contains(says), "{says}: {}", answer.text());
    }
    for service in services {
        assert!(service.arrived().is_empty(), "nothing was sent");
    }
}

#[tokio::test]
async fn a_file_of_certificates_that_cannot_be_read_is_named() {
    let authority = Authority::new("ours");
    let good = Backend::start_tls(authority.server("localhost", 4000), version).await;
    let system = start("/no/such/file.pem", &[&good]).await;
    let answer = system
        .api("front")
        .await
        .get("/v1.0/invoke/service-0/method/charge")
        .await;
    assert!(answer.text().contains("/no/such/file.pem"), "{}", answer.text());
}
