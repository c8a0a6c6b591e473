//! Rolling restarts: one replica of an app after another.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot};

use crate::AppSpec;
use crate::context::Context;
use crate::replica::RestartRequest;

/// How long a replica may take to become ready, beside the time its startup probe grants.
const READY_LIMIT: Duration = Duration::from_mins(1);

/// What killing and starting may take on top of drain and grace.
const MARGIN: Duration = Duration::from_secs(20);

/// Restarts the replicas of one app each time it is wanted; what is wanted during a roll leads to one more.
pub(crate) async fn run(
    context: Arc<Context>,
    spec: AppSpec,
    replicas: Vec<mpsc::Sender<RestartRequest>>,
    wanted: Arc<Notify>,
) {
    loop {
        wanted.notified().await;
        context.note(&spec.app, "restarts its replicas one after another");
        match roll(&spec, &replicas).await {
            Ok(()) => context.note(&spec.app, "restarted"),
            Err(reason) => context.note(&spec.app, &format!("the restart stopped here: {reason}")),
        }
    }
}

async fn roll(spec: &AppSpec, replicas: &[mpsc::Sender<RestartRequest>]) -> Result<(), String> {
    for (index, replica) in replicas.iter().enumerate() {
        let name = format!("{}-{}", spec.app, index + 1);
        let (request, answer) = oneshot::channel();
        replica
            .send(request)
            .await
            .map_err(|_| "Mainstay stops".to_owned())?;
        match tokio::time::timeout(limit(spec), answer).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(reason))) => return Err(format!("{name} {reason}")),
            Ok(Err(_)) => return Err("Mainstay stops".to_owned()),
            Err(_) => return Err(format!("{name} did not become ready in time")),
        }
    }
    Ok(())
}

/// The longest time one replica may take.
fn limit(spec: &AppSpec) -> Duration {
    let startup = spec.probes.startup.as_ref().map_or(Duration::ZERO, |probe| {
        probe.initial_delay + probe.period.saturating_mul(probe.failure_threshold)
    });
    [spec.stop.drain, spec.stop.grace, startup, MARGIN, READY_LIMIT]
        .into_iter()
        .fold(Duration::ZERO, Duration::saturating_add)
}
