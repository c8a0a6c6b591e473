//! `/api/state/COMPONENT/…`

mod answers;
mod naming;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use mainstay_mesh::Body;
use mainstay_state::{
    Concurrency, Consistency, Delete, Etag, Item, KeyChanges, Listing, Set, TimeToLive, limits,
};

use self::answers::{Changes, Keys};
use self::naming::Naming;
use super::{Question, Refusal, bounded};
use crate::blocks::StateComponent;
use crate::control::{Control, lines};
use crate::reply;

impl Control {
    /// Answers what is asked of a state component.
    pub(super) async fn state(&self, question: &Question, body: Bytes) -> Result<Response<Body>, Refusal> {
        let component = question.component("state", &self.options.blocks.state)?;
        let naming = self.naming(question, component)?;
        let state = State {
            question,
            component,
            naming,
        };
        match (&question.method, question.rest().as_slice()) {
            (&Method::GET, ["keys"]) => state.list().await,
            (&Method::GET, ["keys", key]) => state.get(key).await,
            (&Method::PUT, ["keys", key]) => state.set(key, body).await,
            (&Method::DELETE, ["keys", key]) => state.delete(key).await,
            (&Method::GET, ["changes"]) => {
                question.takes(&["app", "prefix"])?;
                let from = KeyChanges::of(component.store.clone(), state.prefix());
                let from = bounded(from).await?;
                Ok(lines::answer(Changes {
                    from,
                    naming: state.naming,
                    stopping: self.stopping(),
                    failed: false,
                }))
            }
            (_, ["keys" | "changes"]) => Ok(question.unanswered(Some("GET"))),
            (_, ["keys", _]) => Ok(question.unanswered(Some("GET, PUT, DELETE"))),
            _ => Ok(question.unanswered(None)),
        }
    }

    pub(super) fn naming(&self, question: &Question, component: &StateComponent) -> Result<Naming, Refusal> {
        let app = question.parameters.get("app").map(str::to_owned);
        if let Some(app) = &app
            && self.options.system.apps.iter().all(|known| known.app != *app)
        {
            return Err(Refusal::unknown_app(app));
        }
        Ok(Naming {
            prefix: component.prefix.clone(),
            component: question.component.clone(),
            namespace: component.namespace.clone(),
            app,
        })
    }
}

/// What is asked of one component, and how keys are written.
struct State<'a> {
    question: &'a Question,
    component: &'a StateComponent,
    naming: Naming,
}

impl State<'_> {
    async fn list(self) -> Result<Response<Body>, Refusal> {
        let question = self.question;
        question.takes(&["app", "prefix", "after", "limit"])?;
        let limit = question.parsed("limit", "a number of keys")?;
        let after = question.parameters.get("after");
        let after = after.map(|after| self.naming.prefix() + after);
        let listing = Listing {
            prefix: self.prefix(),
            after,
            limit: limits::MAX_LISTED,
        };
        // What is wrong is told before the answer begins.
        let page = bounded(self.component.store.list(&listing)).await?;
        let keys = Keys::new(self.component.store.clone(), self.naming, listing, page);
        Ok(lines::answer(keys.limited(limit)))
    }

    async fn get(self, key: &str) -> Result<Response<Body>, Refusal> {
        self.question.takes(&["app"])?;
        let item = self.read(key).await?;
        Ok(reply::json(StatusCode::OK, &answers::item(key, item)))
    }

    async fn read(&self, key: &str) -> Result<Item, Refusal> {
        let keys = [self.naming.full_key(key)?];
        let items = bounded(self.component.store.get(&keys, Consistency::Strong)).await?;
        let item = items.into_iter().next().flatten();
        item.ok_or_else(|| {
            let component = &self.question.component;
            Refusal::not_found(format!("there is no key `{key}` in {component}"))
        })
    }

    async fn set(self, key: &str, value: Bytes) -> Result<Response<Body>, Refusal> {
        let question = self.question;
        question.takes(&["app", "etag", "ttl_seconds", "first_write", "content_type"])?;
        let parameters = &question.parameters;
        let time_to_live = parameters.get("ttl_seconds").map_or(Ok(None), TimeToLive::parse);
        let first_write: Option<bool> = question.parsed("first_write", "true or false")?;
        let mut set = Set::new(self.naming.full_key(key)?, value);
        set.time_to_live = time_to_live.map_err(|error| Refusal::malformed(error.to_string()))?;
        set.content_type = parameters.get("content_type").map(str::to_owned);
        set.etag = parameters.get("etag").and_then(Etag::new);
        if first_write == Some(true) {
            set.concurrency = Concurrency::FirstWrite;
        }
        bounded(self.component.store.set(set)).await?;
        Ok(reply::empty(StatusCode::NO_CONTENT))
    }

    /// Who operates a system wants to know when there was nothing to delete, which the component itself does not tell.
    async fn delete(self, key: &str) -> Result<Response<Body>, Refusal> {
        self.question.takes(&["app", "etag"])?;
        self.read(key).await?;
        let mut delete = Delete::new(self.naming.full_key(key)?);
        delete.etag = self.question.parameters.get("etag").and_then(Etag::new);
        bounded(self.component.store.delete(delete)).await?;
        Ok(reply::empty(StatusCode::NO_CONTENT))
    }

    /// What the keys begin with that are asked for, as they are kept.
    fn prefix(&self) -> String {
        let asked = self.question.parameters.get("prefix").unwrap_or_default();
        self.naming.prefix() + asked
    }
}
