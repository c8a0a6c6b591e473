//! Protects a call to an unreliable service on policies derived from its SLA, inside an ordinary tokio program.
//!
//! Run it with `cargo run --package mainstay-policy --example resilient_client`.

#![expect(clippy::print_stdout, reason = "an example talks")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use mainstay_base::{AppId, Clock, Latency, Priority, SystemClock, Timestamp};
use mainstay_policy::derive::{Promise, derive_edge, derive_target};
use mainstay_policy::layer::{BoxError, FallbackLayer, Resilience, Timer, errors_fail};
use tower::{Layer, Service, ServiceExt, service_fn};

/// Time, from tokio.
#[derive(Clone)]
struct Tokio(SystemClock);

impl Clock for Tokio {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

impl Timer for Tokio {
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + Send + 'static {
        tokio::time::sleep(duration)
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), BoxError> {
    // What the payment provider promises.
    let latency = Latency {
        p99: Duration::from_millis(50),
        max: None,
    };
    let promise = Promise::nothing(AppId::new("payments")?).latency(latency, "the contract, page 3");

    // What follows from it, each number with the sum that led to it.
    let edge = derive_edge(&promise, None, None);
    let target = derive_target(&promise, 1);
    for line in edge.lines() {
        println!(
            "{:<22} {:<10} = {} ({})",
            line.field.name(),
            line.reason.value,
            line.reason.sum,
            line.reason.origin
        );
    }

    // A service that fails two times of three and is slow now and then.
    let calls = Arc::new(AtomicU32::new(0));
    let payments = service_fn(move |amount: u32| {
        let number = calls.fetch_add(1, Ordering::Relaxed) + 1;
        let (fails, slow) = (!number.is_multiple_of(3), number.is_multiple_of(7));
        async move {
            tokio::time::sleep(Duration::from_millis(if slow { 500 } else { 5 })).await;
            if fails {
                Err(BoxError::from("the provider is down"))
            } else {
                Ok(format!("paid {amount}"))
            }
        }
    });

    let timer = Tokio(SystemClock::new());
    let priority = |amount: &u32| {
        if *amount > 100 {
            Priority::Critical
        } else {
            Priority::Normal
        }
    };
    let protected =
        Resilience::new(&edge.policy, &target.policy, timer, errors_fail, priority).layer(payments);
    let mut client =
        FallbackLayer::new(|error: BoxError| Ok(format!("payment pending ({error})"))).layer(protected);
    for amount in [10, 200, 30, 40, 50, 60] {
        println!("{}", client.ready().await?.call(amount).await?);
    }
    Ok(())
}
