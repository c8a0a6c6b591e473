//! What components and caches hold, for who operates the system: `/api/components`, `/api/state/…`, `/api/config/…`,
//! `/api/secrets/…`, `/api/caches/…`.

mod caches;
mod configuration;
mod refusal;
mod secrets;
mod state;

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use mainstay_host::Snapshot;
use mainstay_mesh::Body;
use tokio::sync::watch;

use self::refusal::Refusal;
use super::{Control, not_allowed};
use crate::blocks::About;
use crate::http::path::{self, Plus};
use crate::http::query::Parameters;
use crate::operations::OPERATION_TIMEOUT;
use crate::{body, reply, wire};

/// What is asked, by the path.
pub(super) enum Asked {
    /// Which components there are.
    Components,
    /// Which caches there are.
    Caches,
    /// Something of one of them.
    Component {
        block: Block,
        /// The segments after the block, as they came: the component, then what of it.
        path: String,
    },
}

/// A building block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Block {
    State,
    Configuration,
    Secrets,
    /// Not one of Dapr's, but asked in the same way.
    Caches,
}

/// A request about one component.
struct Question {
    method: Method,
    /// The component.
    component: String,
    /// What of it: the segments of the path after it.
    rest: Vec<String>,
    parameters: Parameters,
}

impl Asked {
    /// What a request asks of components; `None` when it is about something else.
    pub(super) fn of<B>(request: &Request<B>) -> Option<Self> {
        let path = request.uri().path();
        match path {
            "/api/components" => return Some(Self::Components),
            "/api/caches" => return Some(Self::Caches),
            _ => {}
        }
        let blocks = [
            ("/api/state/", Block::State),
            ("/api/config/", Block::Configuration),
            ("/api/secrets/", Block::Secrets),
            ("/api/caches/", Block::Caches),
        ];
        blocks.into_iter().find_map(|(prefix, block)| {
            let path = path.strip_prefix(prefix)?.to_owned();
            Some(Self::Component { block, path })
        })
    }
}

impl Control {
    /// Answers.
    pub(super) async fn blocks(&self, asked: Asked, request: Request<Body>) -> Response<Body> {
        let (block, path) = match asked {
            Asked::Components if request.method() == Method::GET => {
                return reply::json(StatusCode::OK, &self.components());
            }
            Asked::Caches if request.method() == Method::GET => {
                return reply::json(StatusCode::OK, &self.caches());
            }
            Asked::Components | Asked::Caches => return not_allowed("GET"),
            Asked::Component { block, path } => (block, path),
        };
        let (head, body) = request.into_parts();
        let question = Question::new(head.method, &path, head.uri.query());
        let answer = match question {
            Ok(question) => self.ask(block, &question, body).await,
            Err(refusal) => Err(refusal),
        };
        answer.unwrap_or_else(|refusal| refusal.response())
    }

    async fn ask(&self, block: Block, question: &Question, body: Body) -> Result<Response<Body>, Refusal> {
        // Only what is set has a body.
        let limits = &self.options.limits;
        let body = if question.method == Method::PUT {
            match body::read(body, limits.body_bytes, limits.body_timeout).await {
                Ok(body) => body,
                Err(error) => return Ok(error.answer()),
            }
        } else {
            Bytes::new()
        };
        match block {
            Block::State => self.state(question, body).await,
            Block::Configuration => self.configuration(question, &body).await,
            Block::Secrets => self.secrets(question, &body).await,
            Block::Caches => self.cache(question).await,
        }
    }

    fn components(&self) -> wire::Components {
        let components = self.options.blocks.list().map(|(name, about, _)| {
            let About { kind, version, .. } = about.clone();
            let name = name.to_owned();
            wire::Component { name, kind, version }
        });
        wire::Components {
            components: components.collect(),
        }
    }

    /// Ends when the system stops.
    fn stopping(&self) -> Stopping {
        Stopping(self.host.watch())
    }
}

impl Question {
    fn new(method: Method, path: &str, query: Option<&str>) -> Result<Self, Refusal> {
        let mut segments = path.split('/').map(|segment| {
            let text = path::decode(segment.as_bytes(), Plus::Literal)
                .map_err(|error| Refusal::malformed(error.to_string()))?;
            String::from_utf8(text.into_owned())
                .map_err(|_| Refusal::malformed(format!("`{segment}` is not UTF-8")))
        });
        let component = segments.next().unwrap_or_else(|| Ok(String::new()))?;
        Ok(Self {
            method,
            component,
            rest: segments.collect::<Result<_, _>>()?,
            parameters: Parameters::of(query),
        })
    }

    /// The segments after the component, to be matched.
    fn rest(&self) -> Vec<&str> {
        self.rest.iter().map(String::as_str).collect()
    }

    /// Refuses parameters that are none of these: a misspelt condition must not be left out.
    fn takes(&self, known: &[&str]) -> Result<(), Refusal> {
        match self.parameters.other_than(known) {
            None => Ok(()),
            Some(other) if known.is_empty() => {
                Err(Refusal::malformed(format!("`{other}` is no parameter here")))
            }
            Some(other) => {
                let known = known.join(", ");
                Err(Refusal::malformed(format!(
                    "`{other}` is no parameter here: there are {known}"
                )))
            }
        }
    }

    /// A parameter that is a number or a truth value.
    fn parsed<T: std::str::FromStr>(&self, name: &str, form: &str) -> Result<Option<T>, Refusal> {
        let Some(text) = self.parameters.get(name) else {
            return Ok(None);
        };
        let parsed = text.parse();
        parsed
            .map(Some)
            .map_err(|_| Refusal::malformed(format!("{name}={text}: write {form}")))
    }

    /// The component that is meant, of those of its building block.
    fn component<'a, C>(&self, block: &str, known: &'a BTreeMap<String, C>) -> Result<&'a C, Refusal> {
        let found = known.get(&self.component);
        found.ok_or_else(|| {
            let names: Vec<&str> = known.keys().map(String::as_str).collect();
            Refusal::unknown_component(block, &self.component, &names)
        })
    }

    /// What is answered when the path or the method is none of those that exist.
    fn unanswered(&self, allowed: Option<&'static str>) -> Response<Body> {
        if let Some(methods) = allowed {
            return not_allowed(methods);
        }
        let message = format!("the control API has no `{}` here", self.rest.join("/"));
        reply::problem(StatusCode::NOT_FOUND, "ERR_NOT_FOUND", message)
    }
}

/// Says when the system stops.
struct Stopping(watch::Receiver<Arc<Snapshot>>);

impl Stopping {
    async fn begins(&mut self) {
        // A host that is gone has stopped.
        let _ = self.0.wait_for(|snapshot| snapshot.stopping).await;
    }
}

/// Waits for a component, but not for ever.
async fn bounded<T, E: Into<Refusal>>(operation: impl Future<Output = Result<T, E>>) -> Result<T, Refusal> {
    match tokio::time::timeout(OPERATION_TIMEOUT, operation).await {
        Ok(done) => done.map_err(Into::into),
        Err(_) => Err(Refusal::timed_out(OPERATION_TIMEOUT)),
    }
}

/// A value that has to be text.
fn text(body: &Bytes) -> Result<&str, Refusal> {
    str::from_utf8(body).map_err(|_| Refusal::malformed("the value is not UTF-8"))
}
