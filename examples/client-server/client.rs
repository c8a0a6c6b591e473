//! Has itself greeted by a server in each language.
use dapr::Client;
use prost_types::Any;

#[tokio::main]
#[expect(clippy::print_stdout, reason = "greetings are for people")]
async fn main() -> anyhow::Result<()> {
    let mut client = Client::new().await?;
    for server in ["server-python", "server-javascript", "server-rust"] {
        let name = Any {
            value: b"Rust client".into(),
            ..Any::default()
        };
        let answer = client.invoke_service(server, "greet", Some(name)).await?;
        println!("{}", String::from_utf8(answer.data.unwrap_or_default().value)?);
    }
    Ok(())
}
