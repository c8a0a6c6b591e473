//! `examples/client-server`.

use super::{check, example};
use crate::tools;

#[tokio::test]
async fn its_promises_can_hold() {
    check("client-server").await;
}

#[tokio::test]
async fn every_client_is_greeted_by_every_server() {
    let (Some(_), Some(example)) = (
        tools::sdks(),
        example("client-server", &["greeting-server", "greeting-client"]),
    ) else {
        return;
    };
    let system = example.launch();
    for client in ["Python", "JavaScript", "Rust"] {
        for server in ["Python", "JavaScript", "Rust"] {
            let greeting = format!("Hello {client} client, this is {server}.");
            system.process().line_with(&greeting).await;
        }
    }
    let wait = [
        "wait",
        "--for",
        "completed",
        "client-python",
        "client-javascript",
        "client-rust",
    ];
    assert_eq!(system.mainstay(&wait).await.code, 0);
}
