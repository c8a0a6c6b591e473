//! The flags of daprd (`cmd/daprd/options/options.go`), with its names and defaults.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Parser as _, ValueEnum};

use crate::daprd::ignored::Ignored;

/// Serve the Dapr API for one app that is started elsewhere, with daprd's flags
///
/// Also what this program does when it is called `daprd`. Flags may begin with one dash or two. The token that apps must
/// show is read from `DAPR_API_TOKEN`, the one shown to the app from `APP_API_TOKEN`.
#[derive(Clone, Debug, clap::Parser)]
#[command(name = "daprd", version)]
pub(crate) struct Args {
    /// Name of the app
    #[arg(long, value_name = "ID")]
    pub(crate) app_id: String,
    /// Port the app listens on; without it the app can call and is never called
    #[arg(long, value_name = "PORT", default_value_t = -1, hide_default_value = true, allow_negative_numbers = true,
          value_parser = clap::value_parser!(i32).range(-1..=65_535))]
    app_port: i32,
    /// What the app speaks
    #[arg(long, value_enum, default_value_t = Protocol::Http)]
    pub(crate) app_protocol: Protocol,
    /// Address of the app
    #[arg(long, value_name = "HOST", default_value = "127.0.0.1")]
    pub(crate) app_channel_address: String,
    /// Calls the app gets at a time; -1 for no bound but the learnt one
    #[arg(long, value_name = "N", default_value_t = -1, allow_negative_numbers = true)]
    app_max_concurrency: i64,
    #[command(flatten)]
    pub(crate) health: Health,
    /// Port of the HTTP API (gRPC works there too); 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 3500)]
    pub(crate) dapr_http_port: u16,
    /// Port of the gRPC API (HTTP works there too); 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 50001)]
    pub(crate) dapr_grpc_port: u16,
    /// Addresses the API listens on
    #[arg(
        long,
        value_name = "ADDRESS,…",
        default_value = "127.0.0.1",
        value_delimiter = ','
    )]
    pub(crate) dapr_listen_addresses: Vec<String>,
    /// Port that serves only health and metadata, without token
    #[arg(long, value_name = "PORT")]
    pub(crate) dapr_public_port: Option<u16>,
    /// Address of that port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) dapr_public_listen_address: String,
    /// Port of the metrics for Prometheus; 0 takes a free one
    #[arg(long, value_name = "PORT", default_value_t = 9090)]
    pub(crate) metrics_port: u16,
    /// Address of that port
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    pub(crate) metrics_listen_address: String,
    /// Whether to serve metrics
    #[arg(long, value_name = "BOOL", default_value_t = true, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = ArgAction::Set)]
    pub(crate) enable_metrics: bool,
    /// Folder with resource files; may be given several times
    #[arg(long, value_name = "DIR", value_delimiter = ',')]
    pub(crate) resources_path: Vec<PathBuf>,
    /// Configuration file; may be given several times
    #[arg(long, value_name = "FILE", value_delimiter = ',')]
    pub(crate) config: Vec<PathBuf>,
    /// Largest body that is held in memory, as a Kubernetes quantity
    #[arg(long, value_name = "QUANTITY", default_value = "4Mi", value_parser = super::quantity::bytes)]
    pub(crate) max_body_size: usize,
    /// Largest request head, as a Kubernetes quantity
    #[arg(long, value_name = "QUANTITY", default_value = "16Ki", value_parser = super::quantity::bytes)]
    pub(crate) read_buffer_size: usize,
    /// How long calls under way may take to end at shutdown
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    pub(crate) dapr_graceful_shutdown_seconds: u64,
    /// How much is told: debug, info, warn, error or fatal
    #[arg(long, value_enum, default_value_t = LogLevel::Info)]
    pub(crate) log_level: LogLevel,
    /// Tell it as JSON
    #[arg(long, value_name = "BOOL", default_value_t = false, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = ArgAction::Set)]
    pub(crate) log_as_json: bool,
    #[command(flatten)]
    pub(crate) ignored: Ignored,
}

impl Args {
    /// Port the app listens on.
    pub(crate) fn app_port(&self) -> Option<u16> {
        u16::try_from(self.app_port).ok().filter(|port| *port > 0)
    }

    /// Calls the app gets at a time, where that is bounded.
    pub(crate) fn max_concurrency(&self) -> Option<u32> {
        u32::try_from(self.app_max_concurrency)
            .ok()
            .filter(|most| *most > 0)
    }
}

/// How the health of the app is found out.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Health {
    /// Whether to probe the app; otherwise it is healthy once its port accepts connections
    #[arg(long, value_name = "BOOL", default_value_t = false, num_args = 0..=1, require_equals = true,
          default_missing_value = "true", action = ArgAction::Set)]
    pub(crate) enable_app_health_check: bool,
    /// Path that is probed
    #[arg(long, value_name = "PATH", default_value = "/healthz")]
    pub(crate) app_health_check_path: String,
    /// Seconds between probes
    #[arg(long, value_name = "SECONDS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    app_health_probe_interval: u64,
    /// Milliseconds that a probe may take
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..))]
    app_health_probe_timeout: u64,
    /// Failures in a row that make the app unhealthy
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) app_health_threshold: u32,
}

impl Health {
    /// Time between probes.
    pub(crate) const fn interval(&self) -> Duration {
        Duration::from_secs(self.app_health_probe_interval)
    }

    /// How long a probe may take.
    pub(crate) const fn timeout(&self) -> Duration {
        Duration::from_millis(self.app_health_probe_timeout)
    }
}

/// What the app speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Protocol {
    /// HTTP/1.1
    Http,
    /// HTTP/2 without TLS
    H2c,
    /// gRPC without TLS
    Grpc,
    /// HTTP/1.1 with TLS (not supported)
    Https,
    /// gRPC with TLS (not supported)
    Grpcs,
}

/// daprd's log levels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum LogLevel {
    Debug,
    Info,
    Warn,
    Error,
    Fatal,
}

impl LogLevel {
    /// The level of Mainstay's messages.
    pub(crate) const fn filter(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error | Self::Fatal => "error",
        }
    }
}

/// Reads the arguments after the program's name; a wrong one, `--help` and `--version` end the process.
pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Args {
    let arguments = std::iter::once(OsString::from("daprd")).chain(arguments.into_iter().map(two_dashes));
    Args::parse_from(arguments)
}

/// Go's flag package takes one dash for two.
fn two_dashes(argument: OsString) -> OsString {
    match argument.to_str() {
        Some(text)
            if text.len() > 2 && text.starts_with('-') && !text.starts_with("--") && !is_number(text) =>
        {
            format!("-{text}").into()
        }
        _ => argument,
    }
}

fn is_number(text: &str) -> bool {
    text.parse::<f64>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What upstream's own suite always passes (`tests/integration/framework/process/daprd`).
    const UPSTREAM: &str = "--log-level debug --app-id orders --app-protocol grpc --dapr-grpc-port 1001 --dapr-http-port \
        1002 --dapr-internal-grpc-port 1003 --dapr-internal-grpc-listen-address 127.0.0.1 --dapr-listen-addresses \
        127.0.0.1 --dapr-public-port 1004 --dapr-public-listen-address 127.0.0.1 --metrics-port 1005 \
        --metrics-listen-address 127.0.0.1 --profile-port 1006 --enable-app-health-check=true \
        --app-health-probe-interval 1 --app-health-threshold 2 --mode standalone --enable-mtls=false \
        --enable-api-logging=true --enable-profiling";

    fn read(line: &str) -> Result<Args, clap::Error> {
        let arguments = line.split_whitespace().map(OsString::from).map(two_dashes);
        Args::try_parse_from(std::iter::once("daprd".into()).chain(arguments))
    }

    #[test]
    fn what_upstream_passes_is_understood() {
        let args = read(UPSTREAM).unwrap();
        assert_eq!(args.app_id, "orders");
        assert_eq!(args.app_protocol, Protocol::Grpc);
        assert_eq!((args.dapr_grpc_port, args.dapr_http_port), (1001, 1002));
        assert_eq!((args.dapr_public_port, args.metrics_port), (Some(1004), 1005));
        assert!(args.health.enable_app_health_check);
        assert_eq!(args.health.app_health_threshold, 2);
        let ignored: Vec<_> = args.ignored.given().iter().map(|(name, _)| *name).collect();
        assert_eq!(
            ignored,
            [
                "mode",
                "dapr-internal-grpc-port",
                "dapr-internal-grpc-listen-address",
                "profile-port",
                "enable-profiling",
                "enable-api-logging",
                "enable-mtls"
            ]
        );
    }

    #[test]
    fn one_dash_and_negative_numbers() {
        let args = read("-app-id a -app-port 3000 -app-max-concurrency -1 -enable-metrics=false").unwrap();
        assert_eq!((args.app_port(), args.app_max_concurrency), (Some(3000), -1));
        assert!(!args.enable_metrics);
        assert_eq!(read("--app-id a --app-port -1").unwrap().app_port(), None);
        assert_eq!(read("--app-id a --app-port 0").unwrap().app_port(), None);
    }

    #[test]
    fn lists_and_repeats() {
        let args =
            read("--app-id a --resources-path x,y --resources-path z --dapr-listen-addresses ::1,127.0.0.1")
                .unwrap();
        assert_eq!(args.resources_path, ["x", "y", "z"].map(PathBuf::from));
        assert_eq!(args.dapr_listen_addresses, ["::1", "127.0.0.1"]);
    }

    #[test]
    fn an_unknown_flag_is_refused() {
        assert!(read("--app-id a --no-such-flag").is_err());
        assert!(read("--app-port 3000").is_err(), "the id is needed");
    }
}
