//! WebSocket and other protocols that begin as an HTTP/1.1 upgrade.

use http::header::{CONNECTION, UPGRADE};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;

use crate::Body;
use crate::answer::{Answer, Exchange};
use crate::mesh::Inner;

/// A request to go on in another protocol.
#[derive(Debug)]
pub(crate) struct Upgrade {
    protocol: HeaderValue,
    caller: OnUpgrade,
}

/// The upgrade that `request` asks for.
pub(crate) fn take(request: &mut Request<Body>) -> Option<Upgrade> {
    let protocol = request.headers().get(UPGRADE)?.clone();
    let caller = request.extensions_mut().remove::<OnUpgrade>()?;
    Some(Upgrade { protocol, caller })
}

impl Upgrade {
    /// Asks the callee for the same, after the caller's own hop-by-hop headers were taken out.
    pub(crate) fn announce(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, self.protocol.clone());
    }
}

/// Ties the two upgraded connections together when the callee agrees; passes its answer on when it does not.
pub(crate) fn finish(
    mesh: &Inner,
    mut response: Response<Incoming>,
    upgrade: Option<Upgrade>,
    exchange: Exchange,
) -> Response<Body> {
    let agreed = response.status() == StatusCode::SWITCHING_PROTOCOLS;
    let (Some(upgrade), true) = (upgrade, agreed) else {
        return response.map(|incoming| Body::answer(Answer::new(incoming, exchange)));
    };
    let callee = hyper::upgrade::on(&mut response);
    if let Some(runtime) = mesh.workers.runtime(mesh.workers.current()) {
        // Ends when either side closes, or with the worker.
        runtime.spawn(async move {
            let _exchange = exchange;
            if let (Ok(caller), Ok(callee)) = (upgrade.caller.await, callee.await) {
                let (mut caller, mut callee) = (TokioIo::new(caller), TokioIo::new(callee));
                // How it ended is between the two.
                let _ = tokio::io::copy_bidirectional(&mut caller, &mut callee).await;
            }
        });
    }
    response.map(|_| Body::empty())
}
