//! Locks over gRPC: messages in and out.

use dapr::dapr::proto::runtime::v1 as runtime;
use dapr::dapr::proto::runtime::v1::unlock_response::Status as UnlockStatus;
use http::{Request, Response};
use mainstay_lock::Unlock;
use mainstay_mesh::Body;
use tonic::Status;
use tonic::metadata::MetadataValue;

use super::{exchange, unary};
use crate::app::App;
use crate::errors::ApiError;
use crate::operations::lock::{self, Asked};
use crate::reply;

/// Answers a method that is about locks; gives the request back when it is not.
pub(super) async fn serve(
    app: &App,
    method: &str,
    request: Request<Body>,
) -> Result<Response<Body>, Request<Body>> {
    Ok(match method {
        "TryLockAlpha1" => exchange(app, request, |asked| try_lock(app, asked)).await,
        "UnlockAlpha1" => unary(app, request, |asked| unlock(app, asked)).await,
        _ => return Err(request),
    })
}

/// The fencing token is in the metadata, because Dapr's message has no place for it.
async fn try_lock(
    app: &App,
    request: tonic::Request<runtime::TryLockRequest>,
) -> Result<tonic::Response<runtime::TryLockResponse>, Status> {
    let request = request.into_inner();
    let asked = Asked {
        app: app.options.app.as_str(),
        store: &request.store_name,
        resource: &request.resource_id,
        owner: &request.lock_owner,
    };
    let token = lock::try_lock(&app.options.blocks, asked, request.expiry_in_seconds).await?;
    let mut response = tonic::Response::new(runtime::TryLockResponse {
        success: token.is_some(),
    });
    if let Some(token) = token {
        let value = MetadataValue::from(token.as_u64());
        response
            .metadata_mut()
            .insert(reply::FENCING_TOKEN.as_str(), value);
    }
    Ok(response)
}

async fn unlock(app: &App, request: runtime::UnlockRequest) -> Result<runtime::UnlockResponse, ApiError> {
    let asked = Asked {
        app: app.options.app.as_str(),
        store: &request.store_name,
        resource: &request.resource_id,
        owner: &request.lock_owner,
    };
    let status = match lock::unlock(&app.options.blocks, asked).await? {
        Unlock::Unlocked => UnlockStatus::Success,
        Unlock::DoesNotExist => UnlockStatus::LockDoesNotExist,
        Unlock::BelongsToOthers => UnlockStatus::LockBelongsToOthers,
    };
    Ok(runtime::UnlockResponse {
        status: status.into(),
    })
}
