//! Secrets over HTTP: JSON out.

use std::sync::Arc;

use http::{Response, StatusCode};
use mainstay_mesh::Body;

use crate::app::App;
use crate::errors::ApiError;
use crate::operations::secrets;
use crate::reply;

/// What is asked of a secret component, by the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SecretRoute {
    pub(crate) store: String,
    /// All of them when there is none.
    pub(crate) name: Option<String>,
}

/// Answers.
pub(super) async fn serve(app: Arc<App>, route: SecretRoute) -> Response<Body> {
    let answer = answer(&app, &route).await;
    answer.unwrap_or_else(|error| error.response())
}

async fn answer(app: &App, route: &SecretRoute) -> Result<Response<Body>, ApiError> {
    let blocks = &app.options.blocks;
    if let Some(name) = &route.name {
        let values = secrets::get(blocks, &route.store, name).await?;
        return Ok(reply::json(StatusCode::OK, &values));
    }
    let secrets = secrets::get_bulk(blocks, &route.store).await?;
    Ok(reply::json(StatusCode::OK, &secrets))
}
