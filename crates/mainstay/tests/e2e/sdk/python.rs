//! The SDK for Python.

use super::{all_is_well, program};
use crate::harness::System;
use crate::tools;

#[tokio::test]
async fn the_python_sdk_calls_and_is_called_over_http_and_grpc() {
    let Some(sdks) = tools::sdks() else { return };
    let system = System::with(&format!(
        r#"
apps:
  echo: {{ command: [testapp], sla: {{ latency: 5s }} }}
  streams: {{ command: [testapp], protocol: grpc, sla: {{ latency: 5s }} }}
  python: {{ command: ["{python}", "{callee}"], protocol: grpc, sla: {{ latency: 5s }} }}
  over-http:
    command: ["{python}", "{caller}"]
    env: {{ DAPR_API_METHOD_INVOCATION_PROTOCOL: http, DAPR_HEALTH_TIMEOUT: 30 }}
    needs: [echo, streams, python]
    calls: [echo, streams, python]
    restart: never
  over-grpc:
    command: ["{python}", "{caller}"]
    env: {{ DAPR_API_METHOD_INVOCATION_PROTOCOL: grpc, DAPR_HEALTH_TIMEOUT: 30 }}
    needs: [echo, streams, python]
    calls: [echo, streams, python]
    restart: never
"#,
        python = sdks.python.display(),
        callee = program("callee.py").display(),
        caller = program("caller.py").display(),
    ))
    .launch();
    all_is_well(&system, &["over-http", "over-grpc"]).await;
}
