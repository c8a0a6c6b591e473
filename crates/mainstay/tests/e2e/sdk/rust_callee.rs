//! A callee in Rust: the SDK's `AppCallback` server, behind the SDK's check of `APP_API_TOKEN`.

#![expect(
    clippy::expect_used,
    reason = "only tests use it, and a defect shall be seen at once"
)]

use dapr::appcallback::{
    BindingEventRequest, BindingEventResponse, InvokeRequest, InvokeResponse, JobEventRequest,
    JobEventResponse, ListInputBindingsResponse, ListTopicSubscriptionsResponse, TopicEventBulkRequest,
    TopicEventBulkResponse, TopicEventRequest, TopicEventResponse,
};
use dapr::client::AppApiTokenLayer;
use dapr::dapr::proto::runtime::v1::app_callback_server::{AppCallback, AppCallbackServer};
use tonic::transport::Server;
use tonic::{Request, Response, Status};

type Answer<T> = Result<Response<T>, Status>;

struct Callee;

#[tonic::async_trait]
impl AppCallback for Callee {
    /// `echo` sends back what came, `fail` ends with a status of its own.
    async fn on_invoke(&self, request: Request<InvokeRequest>) -> Answer<InvokeResponse> {
        let caller = request.metadata().get("dapr-caller-app-id").cloned();
        let request = request.into_inner();
        match request.method.as_str() {
            "echo" => {
                let mut response = Response::new(InvokeResponse {
                    data: request.data,
                    content_type: request.content_type,
                });
                if let Some(caller) = caller {
                    response.metadata_mut().insert("seen-caller", caller);
                }
                Ok(response)
            }
            "fail" => Err(Status::failed_precondition("on purpose")),
            method => Err(Status::unimplemented(method)),
        }
    }

    async fn list_topic_subscriptions(&self, _: Request<()>) -> Answer<ListTopicSubscriptionsResponse> {
        Ok(Response::new(ListTopicSubscriptionsResponse::default()))
    }

    async fn on_topic_event(&self, _: Request<TopicEventRequest>) -> Answer<TopicEventResponse> {
        Err(Status::unimplemented("topics"))
    }

    async fn list_input_bindings(&self, _: Request<()>) -> Answer<ListInputBindingsResponse> {
        Ok(Response::new(ListInputBindingsResponse::default()))
    }

    async fn on_binding_event(&self, _: Request<BindingEventRequest>) -> Answer<BindingEventResponse> {
        Err(Status::unimplemented("bindings"))
    }

    async fn on_bulk_topic_event(&self, _: Request<TopicEventBulkRequest>) -> Answer<TopicEventBulkResponse> {
        Err(Status::unimplemented("topics"))
    }

    async fn on_job_event(&self, _: Request<JobEventRequest>) -> Answer<JobEventResponse> {
        Err(Status::unimplemented("jobs"))
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let port = std::env::var("PORT").expect("PORT");
    let address = format!("127.0.0.1:{port}").parse().expect("an address");
    Server::builder()
        .layer(AppApiTokenLayer::from_env())
        .add_service(AppCallbackServer::new(Callee))
        .serve(address)
        .await
        .expect("it serves");
}
