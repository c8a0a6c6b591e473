//! WebSocket and other protocols that begin as an HTTP/1.1 upgrade.

use http::header::{CONNECTION, UPGRADE};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Response};
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use mainstay_base::Timestamp;
use mainstay_policy::Outcome;

use crate::Body;
use crate::incoming::Incoming;
use crate::mesh::Inner;
use crate::record::{AttemptRecord, CallRecord};

/// A request to go on in another protocol.
#[derive(Debug)]
pub(crate) struct Upgrade {
    protocol: HeaderValue,
    caller: OnUpgrade,
}

/// The upgrade that a request asks for.
pub(crate) fn take(head: &mut Parts) -> Option<Upgrade> {
    let protocol = head.headers.get(UPGRADE)?.clone();
    let caller = head.extensions.remove::<OnUpgrade>()?;
    Some(Upgrade { protocol, caller })
}

impl Upgrade {
    /// Asks the callee for the same, after the caller's own hop-by-hop headers were taken out.
    pub(crate) fn announce(&self, headers: &mut HeaderMap) {
        headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(UPGRADE, self.protocol.clone());
    }
}

/// Ties the two upgraded connections together. They count as open at the replica until either side closes; as a call
/// they are over.
pub(crate) fn tie(
    mesh: &Inner,
    mut response: Response<Incoming>,
    upgrade: Option<Upgrade>,
    (mut call, mut attempt): (CallRecord, AttemptRecord),
    now: Timestamp,
) -> Response<Body> {
    call.settle(Outcome::Success, now);
    attempt.settle(Outcome::Success, now);
    let callee = hyper::upgrade::on(&mut response);
    let runtime = mesh.workers.runtime(mesh.workers.current());
    if let (Some(upgrade), Some(runtime)) = (upgrade, runtime) {
        // Ends when either side closes, or with the worker.
        runtime.spawn(async move {
            let _open = attempt;
            if let (Ok(caller), Ok(callee)) = (upgrade.caller.await, callee.await) {
                let (mut caller, mut callee) = (TokioIo::new(caller), TokioIo::new(callee));
                // How it ended is between the two.
                let _ = tokio::io::copy_bidirectional(&mut caller, &mut callee).await;
            }
        });
    }
    response.map(|_| Body::empty())
}
