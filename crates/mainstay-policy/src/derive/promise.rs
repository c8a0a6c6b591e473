//! What a service promises, and where that is written.

use std::sync::Arc;

use mainstay_base::{AppId, Availability, Latency, Priority, Sla, format_duration};

use super::Origin;

/// What a service promises. What it leaves out is assumed ([`Sla::default`]).
#[derive(Clone, Debug, PartialEq)]
pub struct Promise {
    /// Who promises.
    pub service: AppId,
    /// What.
    pub sla: Sla,
    /// Where the latency is written; absent when it is assumed.
    pub latency_at: Option<Arc<str>>,
    /// Where the availability is written; absent when it is assumed.
    pub availability_at: Option<Arc<str>>,
    /// Where the concurrency is written.
    pub concurrency_at: Option<Arc<str>>,
}

impl Promise {
    /// The promise of a service that promises nothing.
    pub fn nothing(service: AppId) -> Self {
        Self {
            service,
            sla: Sla::default(),
            latency_at: None,
            availability_at: None,
            concurrency_at: None,
        }
    }

    /// The same with a latency.
    #[must_use]
    pub fn latency(mut self, latency: Latency, place: &str) -> Self {
        self.sla.latency = latency;
        self.latency_at = Some(place.into());
        self
    }

    /// The same with an availability.
    #[must_use]
    pub fn availability(mut self, availability: Availability, place: &str) -> Self {
        self.sla.availability = availability;
        self.availability_at = Some(place.into());
        self
    }

    /// The same with a concurrency per replica.
    #[must_use]
    pub fn concurrency(mut self, concurrency: u32, place: &str) -> Self {
        self.sla.concurrency = Some(concurrency);
        self.concurrency_at = Some(place.into());
        self
    }

    /// The same with a priority.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.sla.priority = priority;
        self
    }

    /// Where the latency comes from.
    pub fn latency_origin(&self) -> Origin {
        self.origin(self.latency_at.as_ref())
    }

    /// Where the availability comes from.
    pub fn availability_origin(&self) -> Origin {
        self.origin(self.availability_at.as_ref())
    }

    /// Where the concurrency comes from.
    pub fn concurrency_origin(&self) -> Origin {
        self.origin(self.concurrency_at.as_ref())
    }

    fn origin(&self, place: Option<&Arc<str>>) -> Origin {
        let service = self.service.clone();
        match place {
            Some(place) => Origin::Sla {
                service,
                place: Arc::clone(place),
            },
            None => Origin::Assumed { service },
        }
    }
}

impl Promise {
    /// The longest time an answer takes: `max` where it is promised, else twice the 99th percentile.
    pub fn longest(&self) -> std::time::Duration {
        let latency = self.sla.latency;
        latency.max.unwrap_or(latency.p99.saturating_mul(2))
    }

    /// How [`Promise::longest`] is reached.
    pub(super) fn longest_sum(&self) -> String {
        let latency = self.sla.latency;
        match latency.max {
            Some(max) => format!("max = {}", format_duration(max)),
            None => format!("2 x p99 = 2 x {}", format_duration(latency.p99)),
        }
    }
}
