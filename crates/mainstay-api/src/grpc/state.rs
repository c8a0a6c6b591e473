//! State over gRPC: messages in and out.

use std::collections::HashMap;

use dapr::dapr::proto::common::v1 as common;
use dapr::dapr::proto::common::v1::state_options::{StateConcurrency, StateConsistency};
use dapr::dapr::proto::runtime::v1 as runtime;
use http::{Request, Response, StatusCode};
use mainstay_mesh::Body;
use mainstay_state::{Concurrency, Consistency, Etag, Item};
use tonic::Code;

use super::unary;
use crate::app::App;
use crate::blocks::AppState;
use crate::errors::{ApiError, state as errors};
use crate::operations::state::{self, BulkItem, Change, Removal, Step};

/// Answers a method that is about state; gives the request back when it is not.
pub(super) async fn serve(
    app: &App,
    method: &str,
    request: Request<Body>,
) -> Result<Response<Body>, Request<Body>> {
    Ok(match method {
        "GetState" => unary(app, request, |asked| get(app, asked)).await,
        "GetBulkState" => unary(app, request, |asked| get_bulk(app, asked)).await,
        "SaveState" => unary(app, request, |asked| save(app, asked)).await,
        "DeleteState" => unary(app, request, |asked| delete(app, asked)).await,
        "DeleteBulkState" => unary(app, request, |asked| delete_bulk(app, asked)).await,
        "ExecuteStateTransaction" => unary(app, request, |asked| transact(app, asked)).await,
        "QueryStateAlpha1" => unary(app, request, |asked| query(app, asked)).await,
        _ => return Err(request),
    })
}

fn component<'a>(app: &'a App, store: &'a str) -> Result<AppState<'a>, ApiError> {
    let blocks = &app.options.blocks;
    let found = blocks.app_state(store, app.options.app.as_str());
    found.ok_or_else(|| {
        if blocks.state.is_empty() {
            errors::not_configured(store, None)
        } else {
            errors::not_found(store, None)
        }
    })
}

async fn get(app: &App, asked: runtime::GetStateRequest) -> Result<runtime::GetStateResponse, ApiError> {
    let state = component(app, &asked.store_name)?;
    let consistency = consistency(asked.consistency, state::READ_CONSISTENCY);
    let found = state::get(state, &asked.key, consistency).await?;
    let metadata = state::metadata(&found);
    let (data, etag) = found.item.map_or_else(Default::default, content);
    Ok(runtime::GetStateResponse { data, etag, metadata })
}

async fn get_bulk(
    app: &App,
    asked: runtime::GetBulkStateRequest,
) -> Result<runtime::GetBulkStateResponse, ApiError> {
    let state = component(app, &asked.store_name)?;
    let items = state::get_bulk(state, asked.keys).await?;
    Ok(runtime::GetBulkStateResponse {
        items: items.into_iter().map(bulk_item).collect(),
    })
}

async fn save(app: &App, asked: runtime::SaveStateRequest) -> Result<(), ApiError> {
    let state = component(app, &asked.store_name)?;
    if asked.states.is_empty() {
        return Ok(());
    }
    if asked.states.iter().any(|item| item.key.is_empty()) {
        return Err(ApiError::basic(
            StatusCode::BAD_REQUEST,
            Code::InvalidArgument,
            "ERR_STATE_SAVE",
            "state key cannot be empty",
        ));
    }
    state::save(state, asked.states.into_iter().map(change).collect()).await
}

async fn delete(app: &App, asked: runtime::DeleteStateRequest) -> Result<(), ApiError> {
    let state = component(app, &asked.store_name)?;
    let (concurrency, consistency) = options(asked.options.as_ref());
    let removal = Removal {
        key: asked.key,
        etag: etag(asked.etag),
        metadata: asked.metadata,
        concurrency,
        consistency,
    };
    state::delete(state, removal).await
}

async fn delete_bulk(app: &App, asked: runtime::DeleteBulkStateRequest) -> Result<(), ApiError> {
    let state = component(app, &asked.store_name)?;
    state::delete_bulk(state, asked.states.into_iter().map(removal).collect()).await
}

async fn transact(app: &App, asked: runtime::ExecuteStateTransactionRequest) -> Result<(), ApiError> {
    let state = component(app, &asked.store_name)?;
    let steps = asked.operations.into_iter().map(|operation| {
        let item = operation.request.unwrap_or_default();
        match operation.operation_type.as_str() {
            "upsert" => Ok(Step::Upsert(change(item))),
            "delete" => Ok(Step::Delete(removal(item))),
            other => Err(errors::unknown_operation(other)),
        }
    });
    let steps: Vec<Step> = steps.collect::<Result<_, _>>()?;
    state::transact(state, steps, &asked.metadata).await
}

async fn query(
    app: &App,
    asked: runtime::QueryStateRequest,
) -> Result<runtime::QueryStateResponse, ApiError> {
    let state = component(app, &asked.store_name)?;
    let page = state::query(state, asked.query.as_bytes()).await?;
    let results = page.results.into_iter().map(|result| runtime::QueryStateItem {
        key: result.key,
        data: result.item.value.into(),
        etag: result.item.etag.to_string(),
        error: String::new(),
    });
    Ok(runtime::QueryStateResponse {
        results: results.collect(),
        token: page.token.unwrap_or_default(),
        metadata: HashMap::new(),
    })
}

fn bulk_item(bulk: BulkItem) -> runtime::BulkStateItem {
    let mut answer = runtime::BulkStateItem {
        key: bulk.key,
        ..runtime::BulkStateItem::default()
    };
    match bulk.found {
        Ok(found) => {
            answer.metadata = state::metadata(&found);
            (answer.data, answer.etag) = found.item.map_or_else(Default::default, content);
        }
        Err(error) => answer.error = error,
    }
    answer
}

/// The bytes of a value and its `ETag`.
fn content(item: Item) -> (Vec<u8>, String) {
    (item.value.into(), item.etag.to_string())
}

fn change(item: common::StateItem) -> Change {
    let (concurrency, consistency) = options(item.options.as_ref());
    Change {
        key: item.key,
        value: item.value.into(),
        etag: etag(item.etag),
        metadata: item.metadata,
        concurrency,
        consistency,
    }
}

fn removal(item: common::StateItem) -> Removal {
    let (concurrency, consistency) = options(item.options.as_ref());
    Removal {
        key: item.key,
        etag: etag(item.etag),
        metadata: item.metadata,
        concurrency,
        consistency,
    }
}

fn etag(etag: Option<common::Etag>) -> Option<Etag> {
    Etag::new(etag?.value)
}

fn options(options: Option<&common::StateOptions>) -> (Concurrency, Consistency) {
    let Some(options) = options else {
        return Default::default();
    };
    let concurrency = match options.concurrency() {
        StateConcurrency::ConcurrencyFirstWrite => Concurrency::FirstWrite,
        StateConcurrency::ConcurrencyUnspecified | StateConcurrency::ConcurrencyLastWrite => {
            Concurrency::LastWrite
        }
    };
    (
        concurrency,
        consistency(options.consistency, Consistency::default()),
    )
}

fn consistency(number: i32, unsaid: Consistency) -> Consistency {
    match StateConsistency::try_from(number) {
        Ok(StateConsistency::ConsistencyEventual) => Consistency::Eventual,
        Ok(StateConsistency::ConsistencyUnspecified) => unsaid,
        // One that is not known is rather too strict than too lax.
        Ok(StateConsistency::ConsistencyStrong) | Err(_) => Consistency::Strong,
    }
}
