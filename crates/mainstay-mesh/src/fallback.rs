//! What is answered when there is no good answer.

use http::{HeaderName, HeaderValue, Response, header};
use mainstay_base::{AppId, Clock};
use mainstay_policy::Outcome;

use crate::flow::Flow;
use crate::judge::Status;
use crate::mesh::Inner;
use crate::{Body, Fallback, Protocol};

/// Marks an answer that is a fallback.
const FALLBACK: HeaderName = HeaderName::from_static("mainstay-fallback");

/// The answer of the edge's fallback; `None` when it has none either.
pub(crate) async fn answer(mesh: &Inner, flow: &mut Flow) -> Option<Response<Body>> {
    match flow.edge.config.fallback.clone()? {
        Fallback::Static {
            status,
            content_type,
            body,
        } => {
            if !flow.outgoing.takes_fixed_answer {
                return None;
            }
            let mut response = Response::new(Body::full(body));
            *response.status_mut() = status;
            response.headers_mut().insert(header::CONTENT_TYPE, content_type);
            response
                .headers_mut()
                .insert(FALLBACK, HeaderValue::from_static("static"));
            Some(response)
        }
        Fallback::App(app) => ask(mesh, flow, &app).await,
    }
}

/// Makes the same call to another app. A fallback has no fallback of its own, or two of them could go in circles.
async fn ask(mesh: &Inner, flow: &mut Flow, app: &AppId) -> Option<Response<Body>> {
    let edge = mesh.directory.declared(&flow.edge.config.caller, app)?;
    let outgoing = flow.outgoing.take_repeatable(&edge)?;
    let mut flow = Flow::new(edge, outgoing, mesh.clock.now());
    // Boxed, because a call contains its fallback.
    let answer = Box::pin(mesh.make(&mut flow, false)).await;
    let mut answer = answer
        .ok()
        .filter(|answer| can_stand_in(flow.outgoing.protocol, answer))?;
    let mark = HeaderValue::try_from(format!("app {app}")).ok()?;
    answer.headers_mut().insert(FALLBACK, mark);
    Some(answer)
}

/// Whether an answer is better than none. What counts is its head, as for every answer whose body is not held back: a
/// gRPC answer that fails after its first message is passed on as it is.
fn can_stand_in(protocol: Protocol, answer: &Response<Body>) -> bool {
    let status = Status::of_head(protocol, answer.status(), answer.headers());
    status.is_offered() && status.outcome(answer.headers()) == Outcome::Success
}
