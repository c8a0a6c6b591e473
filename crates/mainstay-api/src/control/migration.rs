//! Moving what is stored to another store: `/api/migration`.
//!
//! ```text
//!   GET  /api/migration             how it is, or was
//!   POST /api/migration             begins: {"to": "…", "from": "…"}
//!   POST /api/migration/WISH        verify, cut-over, back-out, finish
//! ```

use http::{Method, Request, Response, StatusCode};
use mainstay_mesh::Body;
use mainstay_migrate::{Refusal, Wish};

use super::{Control, accepted, not_allowed};
use crate::wire::{Migration, MigrationBegin};
use crate::{body, reply};

/// What the paths begin with.
pub(super) const PATH: &str = "/api/migration";

impl Control {
    /// Answers.
    pub(super) async fn migration(&self, request: Request<Body>) -> Response<Body> {
        let (head, body) = request.into_parts();
        let path = head.uri.path();
        let rest = path.strip_prefix(PATH).unwrap_or_default();
        let Some(handle) = &self.options.migration else {
            return self.no_route(path);
        };
        let is_post = head.method == Method::POST;
        let asked = match rest {
            "" if head.method == Method::GET => {
                let migration = handle.status();
                return reply::json(StatusCode::OK, &Migration { migration });
            }
            "" if is_post => {
                let limits = &self.options.limits;
                let body = match body::read(body, limits.body_bytes, limits.body_timeout).await {
                    Ok(body) => body,
                    Err(error) => return error.answer(),
                };
                let begin: MigrationBegin = match serde_json::from_slice(&body) {
                    Ok(begin) => begin,
                    Err(error) => return malformed(error.to_string()),
                };
                handle.begin(&begin.to, begin.from.as_deref()).await
            }
            "" => return not_allowed("GET, POST"),
            rest => {
                let name = rest.strip_prefix('/').unwrap_or_default();
                let wish = serde_json::from_value::<Wish>(name.into());
                match wish {
                    Ok(wish) if is_post => handle.wish(wish).await,
                    Ok(_) => return not_allowed("POST"),
                    Err(_) => return self.no_route(path),
                }
            }
        };
        asked.map_or_else(|refusal| refused(&refusal), |()| accepted())
    }
}

fn malformed(message: String) -> Response<Body> {
    reply::problem(StatusCode::BAD_REQUEST, "ERR_BAD_REQUEST", message)
}

fn refused(refusal: &Refusal) -> Response<Body> {
    let (status, code) = match refusal {
        Refusal::Reference(_) => (StatusCode::BAD_REQUEST, "ERR_BAD_REQUEST"),
        Refusal::NoMigration => (StatusCode::NOT_FOUND, "ERR_NO_MIGRATION"),
        Refusal::UnderWay(..) | Refusal::Untimely(_) | Refusal::Target(_) => {
            (StatusCode::CONFLICT, "ERR_MIGRATION_REFUSED")
        }
        Refusal::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "ERR_STOPPING"),
    };
    reply::problem(status, code, refusal.to_string())
}
