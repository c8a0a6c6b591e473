//! Answers that are not good news.

use std::fmt::Display;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use serde_json::json;

/// Why a request was not done.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The status to answer with.
    pub status: StatusCode,
    /// What happened, for people.
    pub text: String,
}

impl Problem {
    /// A problem with its status.
    pub fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self {
            status,
            text: text.into(),
        }
    }

    /// Something that cannot happen, did.
    pub fn bug(error: impl Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, Json(json!({ "error": self.text }))).into_response()
    }
}
