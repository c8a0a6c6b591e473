//! The SDK for JavaScript.

use super::{all_is_well, program};
use crate::harness::System;
use crate::tools;

#[tokio::test]
async fn the_javascript_sdk_calls_and_is_called_over_http_and_grpc() {
    let Some(sdks) = tools::sdks() else { return };
    let system = System::with(&format!(
        r#"
apps:
  echo: {{ command: [testapp], sla: {{ latency: 5s }} }}
  http-callee: {{ command: [node, "{http}"], sla: {{ latency: 5s }} }}
  grpc-callee: {{ command: [node, "{grpc}"], protocol: grpc, sla: {{ latency: 5s }} }}
  caller:
    command: [node, "{caller}"]
    needs: [echo, http-callee, grpc-callee]
    calls: [echo, http-callee, grpc-callee]
    restart: never
"#,
        http = program("callee_http.cjs").display(),
        grpc = program("callee_grpc.cjs").display(),
        caller = program("caller.cjs").display(),
    ))
    .env("NODE_PATH", sdks.node_path.to_str().expect("text"))
    .launch();
    all_is_well(&system, &["caller"]).await;
}
