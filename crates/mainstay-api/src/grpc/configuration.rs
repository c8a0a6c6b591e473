//! Settings over gRPC: messages in and out, and a stream of changes.

use std::future::ready;
use std::pin::Pin;
use std::task::{Context, Poll};

use dapr::dapr::proto::common::v1::ConfigurationItem;
use dapr::dapr::proto::runtime::v1 as runtime;
use http::{Request, Response};
use mainstay_base::Retryability;
use mainstay_configuration::{Changes, Item, Subscription};
use mainstay_mesh::Body;
use tokio::sync::mpsc;
use tonic::Status;
use tonic::codegen::tokio_stream::Stream;

use super::{streaming, unary};
use crate::app::App;
use crate::errors::{ApiError, configuration as errors};
use crate::operations::configuration::{self, Asked, Follower, told};

/// Messages that wait for a client that is slow; changes that come meanwhile become one.
const WAITING: usize = 1;

/// Answers a method that is about settings; gives the request back when it is not.
pub(super) async fn serve(
    app: &App,
    method: &str,
    request: Request<Body>,
) -> Result<Response<Body>, Request<Body>> {
    Ok(match method {
        "GetConfiguration" | "GetConfigurationAlpha1" => unary(app, request, |asked| get(app, asked)).await,
        "SubscribeConfiguration" | "SubscribeConfigurationAlpha1" => {
            streaming(app, request, |asked| subscribe(app, asked)).await
        }
        "UnsubscribeConfiguration" | "UnsubscribeConfigurationAlpha1" => {
            unary(app, request, |asked| {
                ready(Ok::<_, ApiError>(unsubscribe(app, &asked)))
            })
            .await
        }
        _ => return Err(request),
    })
}

async fn get(
    app: &App,
    asked: runtime::GetConfigurationRequest,
) -> Result<runtime::GetConfigurationResponse, ApiError> {
    let asked = Asked {
        store: asked.store_name,
        keys: asked.keys,
        metadata: asked.metadata.into_iter().collect(),
    };
    let items = configuration::get(&app.options.blocks, &asked).await?;
    Ok(runtime::GetConfigurationResponse {
        items: items
            .into_iter()
            .map(|(key, item)| (key, message(item)))
            .collect(),
    })
}

fn unsubscribe(
    app: &App,
    asked: &runtime::UnsubscribeConfigurationRequest,
) -> runtime::UnsubscribeConfigurationResponse {
    let ok = configuration::unsubscribe(app, &asked.id);
    let message = if ok {
        String::new()
    } else {
        errors::no_subscription(&asked.id)
    };
    runtime::UnsubscribeConfigurationResponse { ok, message }
}

/// The first message has the id alone.
async fn subscribe(app: &App, asked: runtime::SubscribeConfigurationRequest) -> Result<Updates, ApiError> {
    let asked = Asked {
        store: asked.store_name,
        keys: asked.keys,
        metadata: asked.metadata.into_iter().collect(),
    };
    let (subscription, follower) = configuration::follow(app, &asked).await?;
    let (sender, updates) = mpsc::channel(WAITING);
    tokio::spawn(tell(subscription, follower, sender));
    Ok(Updates(updates))
}

/// Tells of changes until the client goes away or the subscription is ended.
async fn tell(
    mut subscription: Subscription,
    mut follower: Follower,
    updates: mpsc::Sender<Result<runtime::SubscribeConfigurationResponse, Status>>,
) {
    let mut update = runtime::SubscribeConfigurationResponse {
        id: follower.id.clone(),
        ..Default::default()
    };
    loop {
        let sending = async {
            if updates.send(Ok(update)).await.is_err() {
                return None;
            }
            tokio::select! {
                changed = subscription.changed() => Some(changed),
                () = updates.closed() => None,
            }
        };
        let changed = tokio::select! {
            changed = sending => changed,
            () = follower.stopped() => None,
        };
        update = match changed {
            None => return,
            Some(Ok(changes)) => changes_message(&follower.id, changes),
            Some(Err(error)) => {
                // The client subscribes anew, and reads what it may have missed.
                let status = if error.retryability() == Retryability::Never {
                    Status::internal(error.to_string())
                } else {
                    Status::unavailable(error.to_string())
                };
                let _ = updates.send(Err(status)).await;
                return;
            }
        };
    }
}

fn changes_message(id: &str, changes: Changes) -> runtime::SubscribeConfigurationResponse {
    let items = changes
        .into_iter()
        .map(|(key, item)| (key, message(told(item.as_ref()))));
    runtime::SubscribeConfigurationResponse {
        id: id.to_owned(),
        items: items.collect(),
    }
}

fn message(item: Item) -> ConfigurationItem {
    ConfigurationItem {
        value: item.value,
        version: item.version,
        metadata: item.metadata.into_iter().collect(),
    }
}

/// What is told, one after another.
struct Updates(mpsc::Receiver<Result<runtime::SubscribeConfigurationResponse, Status>>);

impl Stream for Updates {
    type Item = Result<runtime::SubscribeConfigurationResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.poll_recv(context)
    }
}
