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

/// An endpoint that takes what it is called with out of a file of secrets.
const VAULTED: &str = "\
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: vault }
spec:
  type: secretstores.local.file
  version: v1
  metadata: [{ name: secretsFile, value: secrets.json }]
---
apiVersion: dapr.io/v1alpha1
kind: HTTPEndpoint
metadata: { name: psp }
auth: { secretStore: vault }
spec:
  baseUrl: https://localhost:PORT/v2
  headers:
  - { name: authorization, secretKeyRef: { name: key } }
  clientTLS:
    rootCA: { secretKeyRef: { name: ca } }
    certificate: { secretKeyRef: { name: client, key: client } }
    privateKey: { secretKeyRef: { name: client-key } }
";

const FRONT: &str = "resources: resources\napps: { front: { command: testapp, ingress: {}, calls: [psp] } }";

#[tokio::test]
async fn what_a_service_is_called_with_may_be_secret() {
    let authority = Authority::new("ours");
    let service = Backend::start_tls(authority.demanding_server(), version).await;
    let endpoint = VAULTED.replace("PORT", &service.address.port().to_string());
    let (certificate, key) = authority.client();
    let secrets = serde_json::json!({
        "key": "Bearer hunter2", "ca": authority.pem(), "client": certificate, "client-key": key,
    });
    let system = System::with(FRONT)
        .file("resources/psp.yaml", &endpoint)
        .file("secrets.json", &secrets.to_string())
        .env("MAINSTAY_LOG", "trace")
        .start()
        .await;
    let answer = system
        .api("front")
        .await
        .get("/v1.0/invoke/psp/method/charge")
        .await;
    assert_eq!(
        (answer.status.as_u16(), answer.text().as_str()),
        (200, "HTTP/2.0 /v2/charge")
    );
    assert_eq!(service.arrived()[0].0.headers["authorization"], "Bearer hunter2");
    assert!(system.interrupt().await.success());
    let log = system.process().log();
    assert!(!log.contains("hunter2") && !log.contains("PRIVATE KEY"), "{log}");
}

#[tokio::test]
async fn a_secret_that_is_missing_or_no_good_stops_the_start() {
    let authority = Authority::new("ours");
    let endpoint = VAULTED.replace("PORT", "1");
    let (certificate, key) = authority.client();
    let (other, _) = authority.client();
    let good = [
        ("key", "hunter2"),
        ("ca", &authority.pem()),
        ("client", &certificate),
        ("client-key", &key),
    ];
    for (name, value, says) in [
        ("key", None, "the header `authorization`"),
        ("key", Some("hunter2\nx"), "is not the value of a header"),
        (
            "ca",
            Some("hunter2"),
            "the authority's certificate cannot be read",
        ),
        ("client", Some(other.as_str()), "do not fit together"),
        ("client-key", Some("hunter2"), "the private key cannot be read"),
    ] {
        let mut secrets = serde_json::Map::new();
        for (name, value) in good {
            secrets.insert(name.to_owned(), value.into());
        }
        match value {
            Some(value) => drop(secrets.insert(name.to_owned(), value.into())),
            None => drop(secrets.remove(name)),
        }
        let system = System::with(FRONT)
            .file("resources/psp.yaml", &endpoint)
            .file("secrets.json", &serde_json::Value::from(secrets).to_string())
            .launch();
        let ended = system.process().wait().await;
        let log = system.process().log();
        assert_eq!(ended.code(), Some(1), "{log}");
        assert!(
            log.contains("the external service `psp`") && log.contains(says),
            "{says}: {log}"
        );
        assert!(!log.contains("hunter2"), "{log}");
    }
}
