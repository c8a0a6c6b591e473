mod properties;
mod scenarios;

use super::*;
use crate::{Condition, Need, Probe, ProbeAction, Restart};

fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn probe(failure_threshold: u32) -> Probe {
    Probe {
        action: ProbeAction::Exec {
            command: vec!["check".to_owned()],
        },
        initial_delay: Duration::ZERO,
        period: ms(1000),
        timeout: ms(1000),
        success_threshold: 1,
        failure_threshold,
    }
}

fn spec() -> AppSpec {
    AppSpec {
        app: mainstay_base::AppId::new("web").unwrap(),
        command: vec!["web".to_owned()],
        dir: "/".into(),
        env: Vec::new(),
        replicas: 1,
        needs: vec![Need {
            app: mainstay_base::AppId::new("db").unwrap(),
            condition: Condition::Healthy,
        }],
        probes: Probes::default(),
        restart: RestartPolicy {
            restart: Restart::OnFailure,
            backoff_min: ms(100),
            backoff_max: ms(10_000),
            calm: ms(60_000),
            max_restarts: None,
        },
        stop: StopPolicy {
            signal: 15,
            grace: ms(10_000),
            drain: ms(2_000),
        },
    }
}
