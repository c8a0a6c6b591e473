//! Secrets over gRPC: messages out.

use dapr::dapr::proto::runtime::v1 as runtime;
use http::{Request, Response};
use mainstay_mesh::Body;

use super::unary;
use crate::app::App;
use crate::errors::ApiError;
use crate::operations::secrets;

/// Answers a method that is about secrets; gives the request back when it is not.
pub(super) async fn serve(
    app: &App,
    method: &str,
    request: Request<Body>,
) -> Result<Response<Body>, Request<Body>> {
    Ok(match method {
        "GetSecret" => unary(app, request, |asked| get(app, asked)).await,
        "GetBulkSecret" => unary(app, request, |asked| get_bulk(app, asked)).await,
        _ => return Err(request),
    })
}

async fn get(app: &App, asked: runtime::GetSecretRequest) -> Result<runtime::GetSecretResponse, ApiError> {
    let data = secrets::get(&app.options.blocks, &asked.store_name, &asked.key).await?;
    Ok(runtime::GetSecretResponse { data })
}

async fn get_bulk(
    app: &App,
    asked: runtime::GetBulkSecretRequest,
) -> Result<runtime::GetBulkSecretResponse, ApiError> {
    let all = secrets::get_bulk(&app.options.blocks, &asked.store_name).await?;
    let all = all.into_iter();
    Ok(runtime::GetBulkSecretResponse {
        data: all
            .map(|(name, secrets)| (name, runtime::SecretResponse { secrets }))
            .collect(),
    })
}
