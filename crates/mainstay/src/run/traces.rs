//! Where spans go, as OpenTelemetry's own variables say.

use http::Uri;
use mainstay_mesh::TraceExport;

use crate::failure::Failure;

/// The path that the specification adds to a base URL.
const TRACES_PATH: &str = "/v1/traces";

/// Reads the settings of the export from the environment; `None` when no endpoint is set or telemetry is turned off.
///
/// Source: OpenTelemetry specification, "OpenTelemetry Protocol Exporter" and "Environment Variable Specification".
pub(crate) fn export(variable: impl Fn(&str) -> Option<String>) -> Result<Option<TraceExport>, Failure> {
    // The specification: an empty value counts as not set.
    let set = |name: &str| variable(name).filter(|value| !value.is_empty());
    let off = set("OTEL_SDK_DISABLED").is_some_and(|value| value.eq_ignore_ascii_case("true"))
        || set("OTEL_TRACES_EXPORTER").is_some_and(|value| value == "none");
    let found = [
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    ]
    .into_iter()
    .find_map(|name| Some((name, set(name)?)));
    let Some((name, text)) = found.filter(|_| !off) else {
        return Ok(None);
    };
    // The variable of traces holds the whole URL, the general one its beginning.
    let base = text
        .strip_suffix(TRACES_PATH)
        .unwrap_or(&text)
        .trim_end_matches('/');
    let endpoint: Uri = base
        .parse()
        .ok()
        .filter(|uri: &Uri| uri.scheme_str() == Some("http") && uri.authority().is_some())
        .ok_or_else(|| {
            Failure::usage(format!(
                "{name}={text} is not the URL of a collector: write http://host:port (https is not supported; a \
                 collector on this machine can forward)"
            ))
        })?;
    let protocol = set("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL").or_else(|| set("OTEL_EXPORTER_OTLP_PROTOCOL"));
    let grpc = match protocol.as_deref() {
        None | Some("http/protobuf") => false,
        Some("grpc") => true,
        Some(other) => {
            return Err(Failure::usage(format!(
                "OTEL_EXPORTER_OTLP_PROTOCOL={other} is not supported: write grpc or http/protobuf"
            )));
        }
    };
    Ok(Some(TraceExport {
        endpoint,
        grpc,
        ratio: ratio(&set)?,
    }))
}

/// The share of new traces that are recorded. What a caller decided is always kept, as the `parentbased` samplers do.
fn ratio(set: &impl Fn(&str) -> Option<String>) -> Result<f64, Failure> {
    let sampler = set("OTEL_TRACES_SAMPLER").unwrap_or_else(|| "parentbased_always_on".to_owned());
    match sampler.strip_prefix("parentbased_").unwrap_or(&sampler) {
        "always_on" => Ok(1.0),
        "always_off" => Ok(0.0),
        "traceidratio" => {
            let text = set("OTEL_TRACES_SAMPLER_ARG").unwrap_or_else(|| "1".to_owned());
            text.parse()
                .ok()
                .filter(|ratio| (0.0..=1.0).contains(ratio))
                .ok_or_else(|| {
                    Failure::usage(format!(
                        "OTEL_TRACES_SAMPLER_ARG={text} is not a share: write a number from 0 to 1"
                    ))
                })
        }
        _ => Err(Failure::usage(format!(
            "OTEL_TRACES_SAMPLER={sampler} is not supported: write always_on, always_off or traceidratio, each also \
             with parentbased_"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Option<TraceExport>, String> {
        let lookup = |name: &str| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        };
        export(lookup).map_err(|failure| failure.to_string())
    }

    const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/");

    #[test]
    fn without_an_endpoint_nothing_is_exported() {
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(read(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "")]), Ok(None));
        assert_eq!(read(&[ENDPOINT, ("OTEL_SDK_DISABLED", "true")]), Ok(None));
        assert_eq!(read(&[ENDPOINT, ("OTEL_TRACES_EXPORTER", "none")]), Ok(None));
    }

    #[test]
    fn the_usual_variables() {
        let export = read(&[ENDPOINT]).unwrap().unwrap();
        assert_eq!(export.endpoint.to_string(), "http://127.0.0.1:4318/");
        assert_eq!((export.grpc, export.ratio), (false, 1.0));
        let export = read(&[
            ENDPOINT,
            (
                "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
                "http://collector:4318/v1/traces",
            ),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_TRACES_SAMPLER", "parentbased_traceidratio"),
            ("OTEL_TRACES_SAMPLER_ARG", "0.25"),
        ])
        .unwrap()
        .unwrap();
        assert_eq!(export.endpoint.to_string(), "http://collector:4318/");
        assert_eq!((export.grpc, export.ratio), (true, 0.25));
    }

    #[test]
    fn mistakes_are_told() {
        for (name, value) in [
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector:4318"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
            ("OTEL_TRACES_SAMPLER", "jaeger_remote"),
        ] {
            let message = read(&[ENDPOINT, (name, value)]).unwrap_err();
            assert!(message.contains(&format!("{name}={value}")), "{message}");
        }
        let sampler = ("OTEL_TRACES_SAMPLER", "traceidratio");
        assert!(read(&[ENDPOINT, sampler, ("OTEL_TRACES_SAMPLER_ARG", "2")]).is_err());
    }
}
