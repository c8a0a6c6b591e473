//! Flags of daprd that are accepted and change nothing here, each with the reason.

use clap::{Arg, ArgMatches, Command, FromArgMatches};

/// Flag and why it changes nothing.
const FLAGS: &[(&str, &str)] = &[
    ("mode", "there is one mode"),
    ("app-binding-options-timeout", "there are no bindings yet"),
    ("disable-init-endpoints", "no app is asked at its start yet"),
    (
        "dapr-internal-grpc-port",
        "sidecars do not talk to each other here",
    ),
    (
        "dapr-internal-grpc-listen-address",
        "sidecars do not talk to each other here",
    ),
    ("profile-port", "there is no profiler"),
    ("enable-profiling", "there is no profiler"),
    ("components-path", "deprecated: use --resources-path"),
    ("hot-reload-reconcile-interval", "resources are read once"),
    ("dapr-http-max-request-size", "deprecated: use --max-body-size"),
    ("dapr-http-read-buffer-size", "deprecated: use --read-buffer-size"),
    ("allowed-origins", "no cross-origin headers are sent"),
    ("enable-api-logging", "calls are counted and traced instead"),
    ("dapr-block-shutdown-duration", "shutdown begins at once"),
    ("placement-host-address", "no control plane is needed"),
    ("scheduler-host-address", "no control plane is needed"),
    ("scheduler-job-streams", "no control plane is needed"),
    ("actors-disseminate-timeout", "there are no actors yet"),
    ("sentry-address", "no control plane is needed"),
    ("enable-mtls", "no call leaves this machine"),
    ("control-plane-address", "no control plane is needed"),
    ("control-plane-trust-domain", "no control plane is needed"),
    ("control-plane-namespace", "no control plane is needed"),
    ("sentry-request-jwt-audiences", "no control plane is needed"),
    ("disable-builtin-k8s-secret-store", "there is none"),
    ("reminders-service", "deprecated in Dapr"),
    ("actors-service", "deprecated in Dapr"),
    ("app-ssl", "deprecated: use --app-protocol"),
    ("unix-domain-socket", "the API listens on TCP only"),
    ("wait", "the API is served before the app is up"),
];

/// Which of them were given.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ignored(Vec<(&'static str, &'static str)>);

impl Ignored {
    /// The flags that were given, each with the reason why it changes nothing.
    pub(crate) fn given(&self) -> &[(&'static str, &'static str)] {
        &self.0
    }
}

impl clap::Args for Ignored {
    fn augment_args(command: Command) -> Command {
        FLAGS.iter().fold(command, |command, (name, reason)| {
            // Some are switches, some take a value: both forms are read.
            let flag = Arg::new(*name)
                .long(*name)
                .num_args(0..=1)
                .action(clap::ArgAction::Append);
            command.arg(flag.hide(true).help(format!("No effect: {reason}")))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Ignored {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = |(name, _): &&(&'static str, &'static str)| matches.contains_id(name);
        Ok(Self(FLAGS.iter().filter(given).copied().collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
