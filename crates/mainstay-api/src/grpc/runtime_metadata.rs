//! What an app is told about its runtime, as a protobuf message.

use dapr::dapr::proto::runtime::v1::actor_runtime::ActorRuntimeStatus;
use dapr::dapr::proto::runtime::v1::{
    ActorRuntime, AppConnectionHealthProperties, AppConnectionProperties, GetMetadataResponse,
    MetadataHttpEndpoint, RegisteredComponents,
};

use crate::operations::metadata::{AppConnection, Metadata};

/// The message for `metadata`.
pub(super) fn encode(metadata: Metadata) -> GetMetadataResponse {
    let status = ActorRuntimeStatus::from_str_name(metadata.actor_runtime.runtime_status).unwrap_or_default();
    GetMetadataResponse {
        id: metadata.id,
        extended_metadata: metadata.extended.into_iter().collect(),
        http_endpoints: metadata
            .http_endpoints
            .into_iter()
            .map(|endpoint| MetadataHttpEndpoint { name: endpoint.name })
            .collect(),
        app_connection_properties: Some(connection(metadata.app_connection_properties)),
        registered_components: metadata
            .components
            .into_iter()
            .map(|component| RegisteredComponents {
                name: component.name,
                r#type: component.kind,
                version: component.version,
                capabilities: component.capabilities.iter().map(ToString::to_string).collect(),
            })
            .collect(),
        runtime_version: metadata.runtime_version.to_owned(),
        actor_runtime: Some(ActorRuntime {
            runtime_status: i32::from(status),
            host_ready: metadata.actor_runtime.host_ready,
            ..ActorRuntime::default()
        }),
        ..GetMetadataResponse::default()
    }
}

fn connection(connection: AppConnection) -> AppConnectionProperties {
    let signed = |number: u32| i32::try_from(number).unwrap_or(i32::MAX);
    AppConnectionProperties {
        port: connection.port.map_or(0, i32::from),
        protocol: connection.protocol.to_owned(),
        channel_address: connection.channel_address,
        max_concurrency: connection.max_concurrency.map_or(0, signed),
        health: connection.health.map(|health| AppConnectionHealthProperties {
            health_check_path: health.path.unwrap_or_default(),
            health_probe_interval: health.interval,
            health_probe_timeout: health.timeout,
            health_threshold: signed(health.threshold),
        }),
    }
}
