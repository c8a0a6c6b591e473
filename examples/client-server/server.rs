//! Greets whoever asks.
use dapr::appcallback::{
    BindingEventRequest, BindingEventResponse, InvokeRequest, InvokeResponse, JobEventRequest,
    JobEventResponse, ListInputBindingsResponse, ListTopicSubscriptionsResponse, TopicEventBulkRequest,
    TopicEventBulkResponse, TopicEventRequest, TopicEventResponse,
};
use dapr::dapr::proto::runtime::v1::app_callback_server::{AppCallback, AppCallbackServer};
use prost_types::Any;
use tonic::{Request, Response, Status, transport::Server};

type Answer<T> = Result<Response<T>, Status>;

struct Greeter;

#[tonic::async_trait]
impl AppCallback for Greeter {
    async fn on_invoke(&self, request: Request<InvokeRequest>) -> Answer<InvokeResponse> {
        let request = request.into_inner();
        if request.method != "greet" {
            return Err(Status::unimplemented(request.method));
        }
        let name = String::from_utf8_lossy(&request.data.unwrap_or_default().value).into_owned();
        let value = format!("\"Hello {name}, this is Rust.\"").into();
        let data = Some(Any {
            value,
            ..Any::default()
        });
        Ok(Response::new(InvokeResponse {
            data,
            content_type: "application/json".into(),
        }))
    }

    // Nothing but calls is taken.
    async fn list_topic_subscriptions(&self, _: Request<()>) -> Answer<ListTopicSubscriptionsResponse> {
        Err(Status::unimplemented(""))
    }

    async fn on_topic_event(&self, _: Request<TopicEventRequest>) -> Answer<TopicEventResponse> {
        Err(Status::unimplemented(""))
    }

    async fn list_input_bindings(&self, _: Request<()>) -> Answer<ListInputBindingsResponse> {
        Err(Status::unimplemented(""))
    }

    async fn on_binding_event(&self, _: Request<BindingEventRequest>) -> Answer<BindingEventResponse> {
        Err(Status::unimplemented(""))
    }

    async fn on_bulk_topic_event(&self, _: Request<TopicEventBulkRequest>) -> Answer<TopicEventBulkResponse> {
        Err(Status::unimplemented(""))
    }

    async fn on_job_event(&self, _: Request<JobEventRequest>) -> Answer<JobEventResponse> {
        Err(Status::unimplemented(""))
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = format!("127.0.0.1:{}", std::env::var("PORT")?).parse()?;
    Ok(Server::builder()
        .add_service(AppCallbackServer::new(Greeter))
        .serve(address)
        .await?)
}
