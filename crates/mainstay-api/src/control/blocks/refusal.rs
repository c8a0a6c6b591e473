//! Why a request about a component is not answered.

use std::time::Duration;

use http::{Response, StatusCode};
use mainstay_base::ErrorKind;
use mainstay_configuration::ConfigurationError;
use mainstay_mesh::Body;
use mainstay_secrets::SecretsError;
use mainstay_state::StateError;

use crate::{reply, wire};

/// Why a request is not answered. No value is ever part of it.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl Refusal {
    pub(super) fn malformed(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::BAD_REQUEST,
            code: "ERR_BAD_REQUEST",
            message: message.into(),
        }
    }

    pub(super) fn not_found(message: impl Into<String>) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: "ERR_NOT_FOUND",
            message: message.into(),
        }
    }

    pub(super) fn unknown_component(block: &str, name: &str, known: &[&str]) -> Self {
        let others = match known {
            [] => "there is none".to_owned(),
            known => format!("there are {}", known.join(", ")),
        };
        Self {
            status: StatusCode::NOT_FOUND,
            code: "ERR_UNKNOWN_COMPONENT",
            message: format!("there is no {block} component called `{name}`; {others}"),
        }
    }

    pub(super) fn unknown_cache(name: &str, known: &[String]) -> Self {
        let others = match known {
            [] => "none is declared".to_owned(),
            known => format!("there are {}", known.join(", ")),
        };
        Self {
            status: StatusCode::NOT_FOUND,
            code: "ERR_UNKNOWN_CACHE",
            message: format!("there is no cache called `{name}`; {others}"),
        }
    }

    pub(super) fn unknown_app(name: &str) -> Self {
        Self {
            status: StatusCode::NOT_FOUND,
            code: "ERR_UNKNOWN_APP",
            message: format!("there is no app called `{name}`"),
        }
    }

    /// A component of this type cannot be changed here.
    pub(super) fn read_only(component: &str, kind: &str, own: &str) -> Self {
        Self {
            status: StatusCode::NOT_IMPLEMENTED,
            code: "ERR_NOT_SUPPORTED",
            message: format!(
                "`{component}` is a {kind}, which Mainstay only reads: change it where it is kept, or use {own}"
            ),
        }
    }

    pub(super) fn timed_out(limit: Duration) -> Self {
        let limit = mainstay_base::format_duration(limit);
        Self::of(
            ErrorKind::DeadlineExceeded,
            format!("the component gave no answer within {limit}"),
        )
    }

    pub(super) fn of(kind: ErrorKind, message: String) -> Self {
        let (status, code) = match kind {
            ErrorKind::InvalidArgument => (StatusCode::BAD_REQUEST, "ERR_BAD_REQUEST"),
            ErrorKind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "ERR_TOO_LARGE"),
            ErrorKind::NotFound => (StatusCode::NOT_FOUND, "ERR_NOT_FOUND"),
            ErrorKind::FailedPrecondition => (StatusCode::CONFLICT, "ERR_CONFLICT"),
            ErrorKind::PermissionDenied => (StatusCode::FORBIDDEN, "ERR_FORBIDDEN"),
            ErrorKind::Unimplemented => (StatusCode::NOT_IMPLEMENTED, "ERR_NOT_SUPPORTED"),
            ErrorKind::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "ERR_OVERLOADED"),
            ErrorKind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "ERR_UNAVAILABLE"),
            ErrorKind::DeadlineExceeded => (StatusCode::GATEWAY_TIMEOUT, "ERR_TIMEOUT"),
            ErrorKind::Unauthenticated | ErrorKind::Cancelled | ErrorKind::Internal => {
                (StatusCode::INTERNAL_SERVER_ERROR, "ERR_INTERNAL")
            }
        };
        Self {
            status,
            code,
            message,
        }
    }

    /// As an answer.
    pub(super) fn response(&self) -> Response<Body> {
        reply::problem(self.status, self.code, self.message.as_str())
    }

    /// As the last line of an answer that had begun.
    pub(super) fn line(self) -> Vec<u8> {
        reply::json_bytes(&wire::Problem {
            error_code: self.code.to_owned(),
            message: self.message,
        })
    }
}

impl From<StateError> for Refusal {
    fn from(error: StateError) -> Self {
        Self::of(error.kind(), error.to_string())
    }
}

impl From<ConfigurationError> for Refusal {
    fn from(error: ConfigurationError) -> Self {
        Self::of(error.kind(), error.to_string())
    }
}

impl From<SecretsError> for Refusal {
    fn from(error: SecretsError) -> Self {
        Self::of(error.kind(), error.to_string())
    }
}
