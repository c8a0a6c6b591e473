//! Settings: what HTTP and gRPC ask of a component, in terms of neither.

mod callback;
mod subscriptions;

use mainstay_configuration::{ConfigurationError, Items, Metadata, Subscription};

pub(crate) use self::callback::{item_json, told};
pub(crate) use self::subscriptions::{Follower, Subscriptions};
use super::measured;
use crate::app::App;
use crate::blocks::{Blocks, ConfigurationComponent};
use crate::errors::ApiError;
use crate::errors::configuration::{self as errors, Failed};
use crate::metrics::Measured;

/// Which settings are asked for, and of which component.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) store: String,
    /// All of them when empty.
    pub(crate) keys: Vec<String>,
    pub(crate) metadata: Metadata,
}

/// Reads settings.
pub(crate) async fn get(blocks: &Blocks, asked: &Asked) -> Result<Items, ApiError> {
    let component = component(blocks, &asked.store)?;
    bounded(Failed::Get, component, asked, component.store.get(&asked.keys)).await
}

/// Follows settings, for a client that is told on its own connection. It ends when the follower is dropped.
pub(crate) async fn follow(app: &App, asked: &Asked) -> Result<(Subscription, Follower), ApiError> {
    let subscription = subscribe(&app.options.blocks, asked).await?;
    let follower = app.subscriptions.begin()?;
    Ok((subscription, follower))
}

/// Follows settings for the app: each of its replicas is told of changes by a request. Asking again for the same is one
/// and the same subscription, because every replica asks when it starts. Gives its id.
pub(crate) async fn tell_app(app: &App, mut asked: Asked) -> Result<String, ApiError> {
    component(&app.options.blocks, &asked.store)?;
    if !app.options.metadata.is_callable {
        return Err(errors::no_channel());
    }
    asked.keys.sort_unstable();
    asked.keys.dedup();
    let subject = (asked.store.clone(), asked.keys.clone());
    if let Some(id) = app.subscriptions.about(&subject) {
        return Ok(id);
    }
    let subscription = subscribe(&app.options.blocks, &asked).await?;
    let told = callback::Audience {
        invoker: app.invoker.clone(),
        id: app.options.app.clone(),
        store: asked.store,
    };
    app.subscriptions
        .run(subject, |id| callback::run(told, id, subscription))
}

/// Ends a subscription; whether there was one.
pub(crate) fn unsubscribe(app: &App, id: &str) -> bool {
    app.subscriptions.end(id)
}

/// The component of this name.
pub(crate) fn component<'a>(blocks: &'a Blocks, store: &str) -> Result<&'a ConfigurationComponent, ApiError> {
    if blocks.configuration.is_empty() {
        return Err(errors::not_configured());
    }
    let found = blocks.configuration.get(store);
    found.ok_or_else(|| errors::not_found(store))
}

async fn subscribe(blocks: &Blocks, asked: &Asked) -> Result<Subscription, ApiError> {
    let component = component(blocks, &asked.store)?;
    let subscribing = component.store.subscribe(asked.keys.clone(), &asked.metadata);
    bounded(Failed::Subscribe, component, asked, subscribing).await
}

async fn bounded<T>(
    what: Failed,
    component: &ConfigurationComponent,
    asked: &Asked,
    doing: impl Future<Output = Result<T, ConfigurationError>>,
) -> Result<T, ApiError> {
    let Asked { store, keys, .. } = asked;
    let operation = match what {
        Failed::Get => Measured::Get,
        Failed::Subscribe => Measured::Subscribe,
    };
    let done = measured(&component.about, operation, doing, ConfigurationError::fault).await;
    done.map_err(|undone| errors::undone(what, store, keys, &undone))
}
