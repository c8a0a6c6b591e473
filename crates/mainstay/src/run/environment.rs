//! The variables that each replica is started with.

use std::fmt::Write as _;
use std::net::SocketAddr;

use mainstay_base::ReplicaId;

/// What the variables of a replica are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Source<'a> {
    /// Name of the system.
    pub(crate) system: &'a str,
    /// Where the Dapr API of its app listens, HTTP and gRPC.
    pub(crate) api: SocketAddr,
    /// The secret of that API.
    pub(crate) token: &'a str,
    /// Where telemetry goes, when Mainstay itself was told.
    pub(crate) otlp_endpoint: Option<&'a str>,
    /// What the app's own environment says of `OTEL_SERVICE_NAME`.
    pub(crate) service_name: Option<&'a str>,
    /// What the app's own environment says of `OTEL_RESOURCE_ATTRIBUTES`.
    pub(crate) resource_attributes: Option<&'a str>,
}

/// The variables of `replica`, which shall listen on `port`. They win over the manifest's; what the manifest says of
/// OpenTelemetry is kept and completed.
pub(crate) fn variables(replica: &ReplicaId, port: u16, source: &Source<'_>) -> Vec<(String, String)> {
    let api_port = source.api.port().to_string();
    let api_url = format!("http://{}", source.api);
    let mut variables = vec![
        ("PORT", port.to_string()),
        ("APP_ID", replica.app.to_string()),
        ("APP_PORT", port.to_string()),
        ("DAPR_HTTP_PORT", api_port.clone()),
        ("DAPR_GRPC_PORT", api_port),
        ("DAPR_HTTP_ENDPOINT", api_url.clone()),
        ("DAPR_GRPC_ENDPOINT", api_url),
        ("DAPR_API_TOKEN", source.token.to_owned()),
        (
            "OTEL_SERVICE_NAME",
            source.service_name.unwrap_or(replica.app.as_str()).to_owned(),
        ),
        ("OTEL_RESOURCE_ATTRIBUTES", attributes(replica, source)),
    ];
    if let Some(endpoint) = source.otlp_endpoint {
        variables.push(("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.to_owned()));
    }
    variables
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

/// What the app says of itself, then what only Mainstay knows.
fn attributes(replica: &ReplicaId, source: &Source<'_>) -> String {
    let own = source.resource_attributes.unwrap_or_default();
    let has = |key: &str| {
        own.split(',')
            .any(|pair| pair.trim().starts_with(&format!("{key}=")))
    };
    let known = [
        ("service.namespace", escape(source.system)),
        ("service.instance.id", replica.to_string()),
    ];
    let added = known
        .into_iter()
        .filter(|(key, _)| !has(key))
        .map(|(key, value)| format!("{key}={value}"));
    let parts = std::iter::once(own.to_owned())
        .filter(|own| !own.is_empty())
        .chain(added);
    parts.collect::<Vec<_>>().join(",")
}

/// Percent-encodes what has a meaning in a list of attributes (W3C Baggage octets).
fn escape(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    text.bytes().fold(String::new(), |mut escaped, byte| {
        if plain(byte) {
            escaped.push(char::from(byte));
        } else {
            let _ = write!(escaped, "%{byte:02X}");
        }
        escaped
    })
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use mainstay_base::AppId;

    use super::*;

    fn replica() -> ReplicaId {
        ReplicaId {
            app: AppId::new("orders").unwrap(),
            index: 2,
        }
    }

    fn source() -> Source<'static> {
        Source {
            system: "my shop",
            api: ([127, 0, 0, 1], 3500).into(),
            token: "secret",
            otlp_endpoint: None,
            service_name: None,
            resource_attributes: None,
        }
    }

    fn show(source: &Source<'_>) -> String {
        let lines = variables(&replica(), 20_000, source);
        let lines: Vec<String> = lines
            .iter()
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect();
        lines.concat()
    }

    #[test]
    fn everything_that_a_replica_is_given() {
        expect![[r"
            PORT=20000
            APP_ID=orders
            APP_PORT=20000
            DAPR_HTTP_PORT=3500
            DAPR_GRPC_PORT=3500
            DAPR_HTTP_ENDPOINT=http://127.0.0.1:3500
            DAPR_GRPC_ENDPOINT=http://127.0.0.1:3500
            DAPR_API_TOKEN=secret
            OTEL_SERVICE_NAME=orders
            OTEL_RESOURCE_ATTRIBUTES=service.namespace=my%20shop,service.instance.id=orders-2
        "]]
        .assert_eq(&show(&source()));
    }

    #[test]
    fn what_the_app_says_of_its_telemetry_is_kept() {
        let shown = show(&Source {
            otlp_endpoint: Some("http://127.0.0.1:4318"),
            service_name: Some("order-service"),
            resource_attributes: Some("team=a,service.namespace=b"),
            ..source()
        });
        assert!(shown.contains("OTEL_SERVICE_NAME=order-service\n"), "{shown}");
        assert!(
            shown.contains(
                "OTEL_RESOURCE_ATTRIBUTES=team=a,service.namespace=b,service.instance.id=orders-2\n"
            ),
            "{shown}"
        );
        assert!(
            shown.contains("OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318\n"),
            "{shown}"
        );
    }
}
