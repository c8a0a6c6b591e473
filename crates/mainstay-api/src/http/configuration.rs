//! Settings over HTTP.

use std::sync::Arc;

use http::{Response, StatusCode};
use mainstay_mesh::Body;
use serde_json::{Map, json};

use super::query::Parameters;
use crate::app::App;
use crate::errors::{ApiError, configuration as errors};
use crate::operations::configuration::{self, Asked, item_json};
use crate::reply;

/// What is asked of a configuration component, by the path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigurationRoute {
    pub(crate) store: String,
    pub(crate) ask: Ask,
}

/// What is asked of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    /// The settings.
    Get,
    /// To be told when they change.
    Subscribe,
    /// Not to be told any more; the id of the subscription.
    Unsubscribe(String),
}

/// Answers a request with this query.
pub(super) async fn serve(app: Arc<App>, route: ConfigurationRoute, query: Option<String>) -> Response<Body> {
    let answer = answer(&app, route, query.as_deref()).await;
    answer.unwrap_or_else(|error| error.response())
}

async fn answer(
    app: &App,
    route: ConfigurationRoute,
    query: Option<&str>,
) -> Result<Response<Body>, ApiError> {
    let parameters = Parameters::of(query);
    let asked = Asked {
        store: route.store,
        keys: parameters.all("key").map(str::to_owned).collect(),
        metadata: parameters.metadata().into_iter().collect(),
    };
    match route.ask {
        Ask::Get => {
            let items = configuration::get(&app.options.blocks, &asked).await?;
            if items.is_empty() {
                return Ok(reply::empty(StatusCode::NO_CONTENT));
            }
            let items: Map<_, _> = items
                .iter()
                .map(|(key, item)| (key.clone(), item_json(item)))
                .collect();
            Ok(reply::json(StatusCode::OK, &items))
        }
        Ask::Subscribe => {
            let id = configuration::tell_app(app, asked).await?;
            Ok(reply::json(StatusCode::OK, &json!({ "id": id })))
        }
        Ask::Unsubscribe(id) => {
            configuration::component(&app.options.blocks, &asked.store)?;
            if configuration::unsubscribe(app, &id) {
                return Ok(reply::json(StatusCode::OK, &json!({ "ok": true })));
            }
            let message = errors::no_subscription(&id);
            let told = json!({ "ok": false, "message": message });
            Ok(reply::json(StatusCode::INTERNAL_SERVER_ERROR, &told))
        }
    }
}
