//! `secretstores.local.file`: the conformance suite, nesting, and mistakes in the file.

use std::path::Path;
use std::sync::Arc;

use mainstay_secrets::conformance::Subject;
use mainstay_secrets::file::Options;
use mainstay_secrets::limits::MAX_FILE_BYTES;
use mainstay_secrets::{LocalFile, SecretStore, SecretsError, conformance_suite};

struct File(Arc<LocalFile>);

impl Subject for File {
    async fn open(secrets: &[(&str, &str)]) -> Self {
        let object: serde_json::Map<_, _> = secrets
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).into()))
            .collect();
        let text = serde_json::to_string(&object).unwrap();
        Self(Arc::new(open(&text, |_| {}).unwrap()))
    }

    fn secrets(&self) -> Arc<dyn SecretStore> {
        self.0.clone()
    }
}

conformance_suite!(File);

fn open(text: &str, change: impl FnOnce(&mut Options)) -> Result<LocalFile, SecretsError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("secrets.json");
    std::fs::write(&path, text).unwrap();
    let mut options = Options::new(path);
    change(&mut options);
    LocalFile::open(&options)
}

async fn shown(file: &LocalFile) -> Vec<String> {
    let all = file.bulk().await.unwrap();
    let secrets = all.iter().flat_map(|(name, secret)| {
        let values = secret.values();
        values.map(move |(key, value)| format!("{name} {key}={}", value.expose()))
    });
    secrets.collect()
}

const NESTED: &str = r#"{
    "plain": "p",
    "redis": { "host": "h", "password": { "old": "o", "new": "n" } },
    "list": ["a", { "b": "c" }],
    "port": 6379, "tls": true, "none": null
}"#;

#[tokio::test]
async fn nested_names_are_joined() {
    let file = open(NESTED, |_| {}).unwrap();
    assert!(!file.features().multiple_values);
    let names: Vec<String> = file.bulk().await.unwrap().into_keys().collect();
    assert_eq!(
        names,
        [
            "list:0",
            "list:1:b",
            "none",
            "plain",
            "port",
            "redis:host",
            "redis:password:new",
            "redis:password:old",
            "tls"
        ]
    );
    let secret = file.get("redis:password:new").await.unwrap();
    assert_eq!(secret.value("redis:password:new").unwrap().expose(), "n");
    assert_eq!(
        file.get("port").await.unwrap().value("port").unwrap().expose(),
        "6379"
    );
    assert!(file.get("redis").await.is_err());

    let dotted = open(NESTED, |options| options.nested_separator = ".".to_owned()).unwrap();
    assert!(dotted.get("redis.password.new").await.is_ok());
}

#[tokio::test]
async fn a_secret_may_have_many_values() {
    let file = open(NESTED, |options| options.multi_valued = true).unwrap();
    assert!(file.features().multiple_values);
    assert_eq!(
        shown(&file).await,
        [
            "list list:0=a",
            "list list:1:b=c",
            "none none=",
            "plain plain=p",
            "port port=6379",
            "redis host=h",
            "redis password:new=n",
            "redis password:old=o",
            "tls tls=true"
        ]
    );
}

#[tokio::test]
async fn mistakes_are_told_and_secrets_are_not() {
    let message = |text: &str| open(text, |_| {}).unwrap_err().to_string();
    for (text, expected) in [
        (
            "{\n \"a\": \"hunter2\",\n \"b\": hunter2 }",
            "secrets.json: not valid JSON at line 3, column 7",
        ),
        (
            "[\"hunter2\"]",
            "secrets.json: the file of secrets must hold a JSON object",
        ),
        (
            "{\"a:b\": \"hunter2\", \"a\": {\"b\": \"hunter2\"}}",
            "secrets.json: the secret a:b is there twice",
        ),
    ] {
        let message = message(text);
        assert!(message.ends_with(expected), "{message}");
        assert!(!message.contains("hunter2"), "{message}");
    }
    let large = format!("{{\"a\": \"{}\"}}", "x".repeat(MAX_FILE_BYTES as usize));
    assert!(message(&large).contains("larger than"));
    let deep = format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200));
    assert!(message(&deep).contains("not valid JSON"));
    let missing = LocalFile::open(&Options::new(Path::new("/nowhere/secrets.json")));
    assert!(
        missing
            .unwrap_err()
            .to_string()
            .starts_with("/nowhere/secrets.json: ")
    );
}
