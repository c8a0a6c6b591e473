//! What an app waits for, and what waits for an app.

use mainstay_base::AppId;

use crate::{AppSpec, AppStatus, Condition, Need, ReplicaState, ReplicaStatus, Restart, Snapshot};

/// How the needs of an app stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It can start.
    Met,
    /// It waits for these, like `database (healthy)`.
    Waiting(Vec<String>),
    /// It can never start, for this reason.
    Impossible(String),
}

enum One {
    Met,
    NotYet,
    Never(String),
}

/// Judges the needs of an app by the present state of all.
pub(crate) fn verdict(needs: &[Need], specs: &[AppSpec], snapshot: &Snapshot) -> Verdict {
    let mut waiting = Vec::new();
    for need in needs {
        match one(need, specs, snapshot) {
            One::Met => {}
            One::NotYet => waiting.push(format!("{} ({})", need.app, name(need.condition))),
            One::Never(reason) => {
                return Verdict::Impossible(format!(
                    "needs {} ({}), {reason}",
                    need.app,
                    name(need.condition)
                ));
            }
        }
    }
    if waiting.is_empty() {
        Verdict::Met
    } else {
        Verdict::Waiting(waiting)
    }
}

/// Whether everything that needs `app` has come to rest, so that `app` may stop.
pub(crate) fn dependants_at_rest(app: &AppId, specs: &[AppSpec], snapshot: &Snapshot) -> bool {
    let depends = |spec: &&AppSpec| spec.needs.iter().any(|need| &need.app == app);
    specs
        .iter()
        .filter(depends)
        .filter_map(|spec| status(&spec.app, snapshot))
        .flat_map(|status| &status.replicas)
        .all(|replica| is_at_rest(&replica.state))
}

/// Whether no process exists and none will.
pub(crate) fn is_at_rest(state: &ReplicaState) -> bool {
    matches!(
        state,
        ReplicaState::Completed | ReplicaState::Failed(_) | ReplicaState::Stopped
    )
}

fn one(need: &Need, specs: &[AppSpec], snapshot: &Snapshot) -> One {
    let (Some(spec), Some(status)) = (
        specs.iter().find(|spec| spec.app == need.app),
        status(&need.app, snapshot),
    ) else {
        return One::Never("which does not exist".to_owned());
    };
    if need.condition == Condition::Completed && spec.restart.restart == Restart::Always {
        return One::Never("which is always restarted and so never completes".to_owned());
    }
    let mut all_met = true;
    for replica in &status.replicas {
        match of_replica(need.condition, replica) {
            One::Met => {}
            One::NotYet => all_met = false,
            never @ One::Never(_) => return never,
        }
    }
    if all_met { One::Met } else { One::NotYet }
}

fn of_replica(condition: Condition, replica: &ReplicaStatus) -> One {
    match (condition, &replica.state) {
        (_, ReplicaState::Failed(reason)) => One::Never(format!("which failed: {reason}")),
        (_, ReplicaState::Stopped) => One::Never("which was stopped".to_owned()),
        (Condition::Started | Condition::Completed, ReplicaState::Completed)
        | (Condition::Started, ReplicaState::Unready(_))
        | (Condition::Started | Condition::Healthy, ReplicaState::Ready) => One::Met,
        (Condition::Started, ReplicaState::Starting) if replica.pid.is_some() => One::Met,
        // A job without a port is ready for a moment only; whoever looks later must come to the same answer.
        (Condition::Healthy, ReplicaState::Completed) if replica.was_ready => One::Met,
        (Condition::Healthy, ReplicaState::Completed) => {
            One::Never("which ended without having been ready".to_owned())
        }
        _ => One::NotYet,
    }
}

fn status<'a>(app: &AppId, snapshot: &'a Snapshot) -> Option<&'a AppStatus> {
    snapshot.apps.iter().find(|status| &status.app == app)
}

fn name(condition: Condition) -> &'static str {
    match condition {
        Condition::Started => "started",
        Condition::Healthy => "healthy",
        Condition::Completed => "completed",
    }
}

#[cfg(test)]
mod tests;
