//! `secretstores.local.env`: the conformance suite, the prefix, and what no app may read.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::sync::Arc;

use mainstay_secrets::conformance::Subject;
use mainstay_secrets::{Environment, SecretStore, SecretsError, conformance_suite};

struct Variables(Arc<Environment>);

fn environment(prefix: &str, variables: &[(&str, &str)]) -> Environment {
    let variables = variables
        .iter()
        .map(|(name, value)| (OsString::from(name), OsString::from(value)));
    Environment::new(prefix, variables)
}

impl Subject for Variables {
    async fn open(secrets: &[(&str, &str)]) -> Self {
        Self(Arc::new(environment("", secrets)))
    }

    fn secrets(&self) -> Arc<dyn SecretStore> {
        self.0.clone()
    }
}

conformance_suite!(Variables);

async fn names(environment: &Environment) -> Vec<String> {
    environment.bulk().await.unwrap().into_keys().collect()
}

#[tokio::test]
async fn the_prefix_is_taken_off() {
    let environment = environment(
        "SHOP_",
        &[("SHOP_DB", "1"), ("OTHER", "2"), ("SHOP_", "3"), ("shop_x", "4")],
    );
    assert_eq!(names(&environment).await, ["DB"]);
    assert_eq!(
        environment.get("DB").await.unwrap().value("DB").unwrap().expose(),
        "1"
    );
    assert!(environment.get("SHOP_DB").await.is_err());
}

#[tokio::test]
async fn what_belongs_to_the_runtime_is_refused() {
    let variables = [
        ("APP_API_TOKEN", "t"),
        ("DAPR_API_TOKEN", "t"),
        ("dapr_api_token", "t"),
        ("MAINSTAY_SECRETS_KEY", "t"),
        ("PATH", "p"),
    ];
    let all = environment("", &variables);
    assert_eq!(names(&all).await, ["PATH"]);
    for name in [
        "APP_API_TOKEN",
        "app_api_token",
        "DAPR_API_TOKEN",
        "dapr_x",
        "MAINSTAY_SECRETS_KEY",
    ] {
        let refused = all.get(name).await.unwrap_err();
        assert_eq!(refused, SecretsError::Forbidden(name.to_owned()));
    }
    // Neither does a prefix open the door.
    let prefixed = environment("DAPR_", &variables);
    assert!(names(&prefixed).await.is_empty());
    let refused = prefixed.get("API_TOKEN").await.unwrap_err();
    assert_eq!(refused, SecretsError::Forbidden("API_TOKEN".to_owned()));
}

#[tokio::test]
async fn what_is_not_unicode_is_left_out() {
    let broken = OsString::from_vec(vec![0xff]);
    let variables = [
        (OsString::from("A"), broken.clone()),
        (broken, OsString::from("B")),
        ("C".into(), "c".into()),
    ];
    assert_eq!(names(&Environment::new("", variables)).await, ["C"]);
}

#[tokio::test]
async fn the_process_has_variables() {
    let environment = Environment::of_process("");
    assert!(environment.get("PATH").await.is_ok());
}
