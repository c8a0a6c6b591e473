//! Which secrets an app may read: `secrets.scopes` of a Dapr Configuration.

use serde_json::json;

use crate::harness::System;

const RESOURCES: &str = "\
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: vault }
spec:
  type: secretstores.local.file
  version: v1
  metadata: [{ name: secretsFile, value: secrets.json }]
---
apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata: { name: strict }
spec:
  secrets:
    scopes: [{ storeName: vault, defaultAccess: deny, allowedSecrets: [database] }]
---
apiVersion: dapr.io/v1alpha1
kind: Configuration
metadata: { name: lax }
spec:
  secrets:
    scopes: [{ storeName: vault, deniedSecrets: [psp] }]
";

const SECRETS: &str = r#"{ "database": "db-pw", "psp": "psp-key", "mail": "mail-pw" }"#;

#[tokio::test]
async fn an_app_reads_what_its_configuration_allows() {
    let manifest = "
resources: resources
apps:
  orders: { command: testapp, ingress: {}, config: strict }
  mail: { command: testapp, config: lax, port: PORT }
";
    let port = mainstay_redis::test_server::free_port().to_string();
    let system = System::with(&manifest.replace("PORT", &port))
        .file("resources/all.yaml", RESOURCES)
        .file("secrets.json", SECRETS)
        .start()
        .await;
    for (app, readable) in [("orders", &["database"][..]), ("mail", &["database", "mail"])] {
        let api = system.api(app).await;
        for secret in ["database", "psp", "mail"] {
            let answer = api.get(&format!("/v1.0/secrets/vault/{secret}")).await;
            let expected = if readable.contains(&secret) { 200 } else { 403 };
            assert_eq!(answer.status.as_u16(), expected, "{app} {secret}: {answer:?}");
            assert_eq!(
                expected == 403,
                answer.text().contains("ERR_PERMISSION_DENIED"),
                "{answer:?}"
            );
        }
        let bulk = api.get("/v1.0/secrets/vault/bulk").await.json();
        let names: Vec<&String> = bulk.as_object().expect("secrets").keys().collect();
        assert_eq!(names, readable, "{app}");
    }
    // Who operates the system sees all of them.
    let names = system.succeeds(&["secret", "list", "--store", "vault"]).await;
    assert!(names.contains("psp"), "{names}");
}

#[tokio::test]
async fn without_a_name_the_only_one_holds_and_several_are_a_mistake() {
    let manifest = "resources: resources\napps: { app: { command: testapp, ingress: {} } }";
    let only = RESOURCES.split("---\n").take(2).collect::<Vec<_>>().join("---\n");
    let system = System::with(manifest)
        .file("resources/all.yaml", &only)
        .file("secrets.json", SECRETS)
        .start()
        .await;
    let api = system.api("app").await;
    assert_eq!(
        api.get("/v1.0/secrets/vault/database").await.json(),
        json!({ "database": "db-pw" })
    );
    assert_eq!(api.get("/v1.0/secrets/vault/psp").await.status, 403);

    let unclear = System::with(manifest)
        .file("resources/all.yaml", RESOURCES)
        .file("secrets.json", SECRETS)
        .launch();
    assert_eq!(unclear.process().wait().await.code(), Some(2));
    let log = unclear.process().log();
    assert!(
        log.contains("which secrets `app` may read") && log.contains("config: lax"),
        "{log}"
    );
}
