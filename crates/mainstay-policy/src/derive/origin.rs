//! Where a number comes from.

use std::fmt;
use std::sync::Arc;

use mainstay_base::AppId;

/// Where a number comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A constant of Mainstay.
    Default,
    /// A service promises it.
    Sla {
        /// Who promises.
        service: AppId,
        /// Where that is written: `mainstay.yaml:14`.
        place: Arc<str>,
    },
    /// A service promises nothing of the kind; this is what is assumed then.
    Assumed {
        /// Who promises nothing.
        service: AppId,
    },
    /// A setting of the call in the manifest.
    Call {
        /// Where that is written.
        place: Arc<str>,
    },
    /// A Dapr Resiliency resource.
    Resiliency {
        /// Where that is written: `resources/resiliency.yaml:8`.
        place: Arc<str>,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::Sla { service, place } => write!(formatter, "sla of {service} ({place})"),
            Self::Assumed { service } => write!(formatter, "assumed, {service} promises nothing"),
            Self::Call { place } => write!(formatter, "call ({place})"),
            Self::Resiliency { place } => write!(formatter, "resiliency file {place}"),
        }
    }
}
