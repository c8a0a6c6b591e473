//! How an S3 endpoint is reached, as the programs of AWS are told.

use std::fmt;

/// How an S3 endpoint is reached.
#[derive(Clone, Default)]
pub struct S3Options {
    /// The endpoint; that of AWS in the region when absent.
    pub endpoint: Option<String>,
    /// The region; `us-east-1` when absent.
    pub region: Option<String>,
    /// Identifies the one who asks.
    pub access_key: Option<String>,
    /// Proves it.
    pub secret_key: Option<String>,
    /// Belongs to keys that are given for a time.
    pub session_token: Option<String>,
}

impl S3Options {
    /// What the usual variables say: `AWS_ENDPOINT_URL_S3`, `AWS_ENDPOINT_URL`, `AWS_REGION`, `AWS_DEFAULT_REGION`,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Self {
        let first = |names: &[&str]| {
            names
                .iter()
                .find_map(|name| variable(name).filter(|text| !text.is_empty()))
        };
        Self {
            endpoint: first(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"]),
            region: first(&["AWS_REGION", "AWS_DEFAULT_REGION"]),
            access_key: first(&["AWS_ACCESS_KEY_ID"]),
            secret_key: first(&["AWS_SECRET_ACCESS_KEY"]),
            session_token: first(&["AWS_SESSION_TOKEN"]),
        }
    }
}

/// Without what proves anything.
impl fmt::Debug for S3Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("S3Options")
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("access_key", &self.access_key)
            .finish_non_exhaustive()
    }
}
