//! Dapr's resources as they are written (`dapr.io/v1alpha1`).

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Anything;

use crate::document::Named;
use crate::document::form::{DaprTimeForm, Formed, GrpcCodesForm, HttpCodesForm, Text};

/// A duration.
pub(crate) type Time = Formed<DaprTimeForm>;

/// What every resource has; labels and annotations mean nothing here.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Metadata {
    /// Its name.
    pub(crate) name: String,
}

/// A `Resiliency` resource.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Resiliency {
    #[expect(dead_code, reason = "checked before the content is read")]
    api_version: String,
    #[expect(dead_code, reason = "checked before the content is read")]
    kind: String,
    #[expect(dead_code, reason = "a Resiliency is not called by its name")]
    metadata: Metadata,
    /// Apps to whose calls it applies; all when empty.
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
    /// What it says.
    pub(crate) spec: ResiliencySpec,
}

/// What a `Resiliency` resource says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ResiliencySpec {
    /// Policies by their names.
    #[serde(default)]
    pub(crate) policies: Policies,
    /// Which policies hold for whom.
    #[serde(default)]
    pub(crate) targets: Targets,
}

/// Policies by their names.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Policies {
    /// How long an attempt may take.
    #[serde(default)]
    pub(crate) timeouts: Named<Time>,
    /// How it is tried again.
    #[serde(default)]
    pub(crate) retries: Named<Retry>,
    /// When it is not tried at all.
    #[serde(default)]
    pub(crate) circuit_breakers: Named<CircuitBreaker>,
}

/// How a call is tried again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Retry {
    /// How the wait grows; `constant` when absent.
    pub(crate) policy: Option<Growth>,
    /// The wait of a constant policy; 5 s when absent.
    pub(crate) duration: Option<Time>,
    /// The longest wait of an exponential policy; 60 s when absent.
    pub(crate) max_interval: Option<Time>,
    /// Attempts after the first; -1 or absent: without end.
    #[schemars(range(min = -1))]
    pub(crate) max_retries: Option<i32>,
    /// Which answers are tried again.
    pub(crate) matching: Option<Matching>,
}

/// How the wait grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Growth {
    /// It stays.
    #[default]
    Constant,
    /// By half each time.
    Exponential,
}

/// Which answers are tried again.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Matching {
    /// `429,500-599`.
    #[serde(rename = "httpStatusCodes")]
    pub(crate) http: Option<Formed<HttpCodesForm>>,
    /// `1-4,14`.
    #[serde(rename = "gRPCStatusCodes")]
    pub(crate) grpc: Option<Formed<GrpcCodesForm>>,
}

/// When a call is not made at all.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct CircuitBreaker {
    /// Calls let through while half-open; 1 when absent.
    pub(crate) max_requests: Option<u32>,
    /// How long calls count; without end when absent.
    pub(crate) interval: Option<Time>,
    /// How long it stays open; 60 s when absent.
    pub(crate) timeout: Option<Time>,
    /// What opens it; `consecutiveFailures > 5` when absent.
    pub(crate) trip: Option<String>,
}

/// Which policies hold for whom.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Targets {
    /// Calls to apps.
    #[serde(default)]
    pub(crate) apps: Named<AppTarget>,
    /// Actors, which this version does not have.
    pub(crate) actors: Option<Anything>,
    /// Components, which this version does not have.
    pub(crate) components: Option<Anything>,
}

/// Names of policies for calls to one app.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct AppTarget {
    /// A name of `timeouts`.
    pub(crate) timeout: Option<String>,
    /// A name of `retries`.
    pub(crate) retry: Option<String>,
    /// A name of `circuitBreakers`.
    pub(crate) circuit_breaker: Option<String>,
    /// How many breakers Dapr keeps per app; Mainstay keeps one per caller and callee.
    pub(crate) circuit_breaker_cache_size: Option<u32>,
}

/// An `HTTPEndpoint` resource.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct HttpEndpoint {
    #[expect(dead_code, reason = "checked before the content is read")]
    api_version: String,
    #[expect(dead_code, reason = "checked before the content is read")]
    kind: String,
    /// Its name is what calls name.
    pub(crate) metadata: Metadata,
    /// Apps that may call it; all when empty.
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
    /// Where secrets of this resource come from.
    pub(crate) auth: Option<Auth>,
    /// What it says.
    pub(crate) spec: HttpEndpointSpec,
}

/// What an `HTTPEndpoint` resource says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct HttpEndpointSpec {
    /// Where the service is.
    #[serde(rename = "baseUrl")]
    pub(crate) base_url: String,
    /// Headers added to every request.
    #[serde(default)]
    pub(crate) headers: Vec<Header>,
    /// Whom the service's certificate has to be from, and the certificate that is shown to it.
    #[serde(rename = "clientTLS")]
    pub(crate) client_tls: Option<ClientTls>,
}

/// How a service is spoken to over TLS. All in PEM.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ClientTls {
    /// Who signs the service's certificate; whom the machine trusts when absent.
    #[serde(rename = "rootCA")]
    pub(crate) root_ca: Option<TlsDocument>,
    /// The certificate that is shown to the service.
    pub(crate) certificate: Option<TlsDocument>,
    /// Its key.
    #[serde(rename = "privateKey")]
    pub(crate) private_key: Option<TlsDocument>,
    /// Whether the service may ask for another handshake in between, which TLS here never does.
    pub(crate) renegotiation: Option<String>,
}

/// A certificate or a key: exactly one of `value` and `secretKeyRef`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct TlsDocument {
    /// Itself.
    pub(crate) value: Option<Text>,
    /// The secret that has it.
    pub(crate) secret_key_ref: Option<SecretKeyRef>,
}

/// A header: exactly one of `value`, `envRef` and `secretKeyRef`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Header {
    /// Its name.
    pub(crate) name: String,
    /// Its value.
    pub(crate) value: Option<Text>,
    /// The environment variable that has its value.
    pub(crate) env_ref: Option<String>,
    /// The secret that has its value.
    pub(crate) secret_key_ref: Option<SecretKeyRef>,
}

/// A `Component` resource.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Component {
    #[expect(dead_code, reason = "checked before the content is read")]
    api_version: String,
    #[expect(dead_code, reason = "checked before the content is read")]
    kind: String,
    /// Its name is what apps use.
    pub(crate) metadata: Metadata,
    /// Apps that may use it; all when empty.
    #[serde(default)]
    pub(crate) scopes: Vec<String>,
    /// Where secrets of this resource come from.
    pub(crate) auth: Option<Auth>,
    /// What it says.
    pub(crate) spec: ComponentSpec,
}

/// Where secrets of a resource come from.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Auth {
    /// The component.
    pub(crate) secret_store: Option<String>,
}

/// What a `Component` resource says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ComponentSpec {
    /// Building block and engine, `state.redis`.
    #[serde(rename = "type")]
    pub(crate) kind: String,
    /// The version of the type.
    pub(crate) version: Option<String>,
    /// Its settings.
    #[serde(default)]
    pub(crate) metadata: Vec<MetadataItem>,
    /// Whether the system starts without it when it cannot be started.
    #[serde(default)]
    pub(crate) ignore_errors: bool,
    /// How long it may take to start; 5 s when absent.
    pub(crate) init_timeout: Option<Time>,
}

/// A setting: exactly one of `value`, `envRef` and `secretKeyRef`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct MetadataItem {
    /// Its name.
    pub(crate) name: String,
    /// Its value.
    pub(crate) value: Option<Text>,
    /// The environment variable that has its value.
    pub(crate) env_ref: Option<String>,
    /// The secret that has its value.
    pub(crate) secret_key_ref: Option<SecretKeyRef>,
}

/// A part of a secret.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretKeyRef {
    /// The secret.
    pub(crate) name: String,
    /// Its part.
    pub(crate) key: Option<String>,
}

/// A `Configuration` resource.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct Configuration {
    #[expect(dead_code, reason = "checked before the content is read")]
    api_version: String,
    #[expect(dead_code, reason = "checked before the content is read")]
    kind: String,
    /// Its name is what apps name in `config`.
    pub(crate) metadata: Metadata,
    /// What it says.
    pub(crate) spec: ConfigurationSpec,
}

/// What a `Configuration` resource says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct ConfigurationSpec {
    /// Which secrets may be read.
    pub(crate) secrets: Option<SecretsSpec>,
    /// Who may call what of the app.
    pub(crate) access_control: Option<Anything>,
    /// Which parts of the API may be used.
    pub(crate) api: Option<Anything>,
    /// Which types of components may be used.
    pub(crate) components: Option<Anything>,
    /// Handlers of requests to the app.
    pub(crate) app_http_pipeline: Option<Anything>,
    /// Handlers of requests to the API.
    pub(crate) http_pipeline: Option<Anything>,
    /// What is switched on.
    pub(crate) features: Option<Anything>,
    /// What is logged.
    pub(crate) logging: Option<Anything>,
    /// What is measured.
    pub(crate) metric: Option<Anything>,
    /// The same.
    pub(crate) metrics: Option<Anything>,
    /// How sidecars know each other.
    pub(crate) mtls: Option<Anything>,
    /// How sidecars find each other.
    pub(crate) name_resolution: Option<Anything>,
    /// Where spans go.
    pub(crate) tracing: Option<Anything>,
    /// What WebAssembly may do.
    pub(crate) wasm: Option<Anything>,
    /// How workflows run.
    pub(crate) workflow: Option<Anything>,
}

/// Which secrets may be read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SecretsSpec {
    /// One for each component.
    #[serde(default)]
    pub(crate) scopes: Vec<SecretScope>,
}

/// Which secrets of one component may be read.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(crate) struct SecretScope {
    /// The component.
    pub(crate) store_name: String,
    /// Whether a secret may be read that no list names: `allow` (so when absent) or `deny`.
    pub(crate) default_access: Option<String>,
    /// When there are any, these and no others may be read.
    #[serde(default)]
    pub(crate) allowed_secrets: Vec<String>,
    /// These may not be read.
    #[serde(default)]
    pub(crate) denied_secrets: Vec<String>,
}
