//! `/api/config/COMPONENT/…`

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use mainstay_configuration::stored::{Change, Content, Recorded, Stored, Version};
use mainstay_configuration::{ConfigurationError, Item, Metadata, Subscription};
use mainstay_mesh::Body;

use super::{Question, Refusal, Stopping, bounded, text};
use crate::blocks::ConfigurationComponent;
use crate::control::Control;
use crate::control::lines::{self, Lines, Ready};
use crate::{reply, wire};

impl Control {
    /// Answers what is asked of a configuration component.
    pub(super) async fn configuration(
        &self,
        question: &Question,
        body: &Bytes,
    ) -> Result<Response<Body>, Refusal> {
        let component = question.component("configuration", &self.options.blocks.configuration)?;
        match (&question.method, question.rest().as_slice()) {
            (&Method::GET, ["keys"]) => list(question, component).await,
            (&Method::GET, ["keys", key]) => get(question, component, key).await,
            (&Method::PUT, ["keys", key]) => {
                question.takes(&["by"])?;
                let content = Content {
                    value: text(body)?.to_owned(),
                    metadata: metadata(question),
                };
                change(question, component, key, Some(content)).await
            }
            (&Method::DELETE, ["keys", key]) => {
                question.takes(&["by"])?;
                change(question, component, key, None).await
            }
            (&Method::GET, ["keys", key, "history"]) => history(question, component, key).await,
            (&Method::POST, ["keys", key, "undo"]) => undo(question, component, key).await,
            (&Method::GET, ["changes"]) => {
                question.takes(&["key"])?;
                let keys = question.parameters.all("key").map(str::to_owned).collect();
                let metadata = metadata(question);
                let subscription = bounded(component.store.subscribe(keys, &metadata)).await?;
                Ok(lines::answer(Changes {
                    subscription,
                    due: VecDeque::new(),
                    stopping: self.stopping(),
                    failed: false,
                }))
            }
            (_, ["keys" | "changes"] | ["keys", _, "history"]) => Ok(question.unanswered(Some("GET"))),
            (_, ["keys", _]) => Ok(question.unanswered(Some("GET, PUT, DELETE"))),
            (_, ["keys", _, "undo"]) => Ok(question.unanswered(Some("POST"))),
            _ => Ok(question.unanswered(None)),
        }
    }
}

async fn list(question: &Question, component: &ConfigurationComponent) -> Result<Response<Body>, Refusal> {
    question.takes(&[])?;
    let items = bounded(component.store.get(&[])).await?;
    let items = items.into_iter();
    let lines = items.map(|(key, found)| reply::json_bytes(&item(key, found)));
    Ok(lines::answer(Ready(lines)))
}

async fn get(
    question: &Question,
    component: &ConfigurationComponent,
    key: &str,
) -> Result<Response<Body>, Refusal> {
    question.takes(&[])?;
    let mut items = bounded(component.store.get(&[key.to_owned()])).await?;
    let found = items.remove(key).ok_or_else(|| no_key(question, key))?;
    Ok(reply::json(StatusCode::OK, &item(key.to_owned(), found)))
}

async fn change(
    question: &Question,
    component: &ConfigurationComponent,
    key: &str,
    content: Option<Content>,
) -> Result<Response<Body>, Refusal> {
    let stored = stored(question, component)?;
    let by = by(question)?;
    let is_delete = content.is_none();
    let key = key.to_owned();
    let changes = [Change { key, content }];
    let version = bounded(stored.change(&changes, by)).await?;
    let [Change { key, .. }] = changes;
    if is_delete && version.is_none() {
        return Err(no_key(question, &key));
    }
    let version = version.map(|version| version.to_string());
    Ok(reply::json(StatusCode::OK, &wire::ConfigChanged { key, version }))
}

async fn history(
    question: &Question,
    component: &ConfigurationComponent,
    key: &str,
) -> Result<Response<Body>, Refusal> {
    question.takes(&[])?;
    let changes = bounded(stored(question, component)?.history(key)).await?;
    if changes.is_empty() {
        let component = &question.component;
        let message = format!("no change of `{key}` is remembered in {component}");
        return Err(Refusal::not_found(message));
    }
    let lines = changes
        .into_iter()
        .map(|change| reply::json_bytes(&record(change)));
    Ok(lines::answer(Ready(lines)))
}

async fn undo(
    question: &Question,
    component: &ConfigurationComponent,
    key: &str,
) -> Result<Response<Body>, Refusal> {
    question.takes(&["by", "version"])?;
    let version = question.parsed("version", "a version of the history")?;
    let undoing = stored(question, component)?.undo(key, version.map(Version::from_u64), by(question)?);
    let version = bounded(undoing).await?;
    let changed = wire::ConfigChanged {
        key: key.to_owned(),
        version: Some(version.to_string()),
    };
    Ok(reply::json(StatusCode::OK, &changed))
}

fn stored<'a>(question: &Question, component: &'a ConfigurationComponent) -> Result<&'a Stored, Refusal> {
    let stored = component.stored.as_ref();
    stored.ok_or_else(|| {
        Refusal::read_only(
            &question.component,
            &component.about.kind,
            "a configuration.mainstay",
        )
    })
}

fn by(question: &Question) -> Result<&str, Refusal> {
    let by = question.parameters.get("by");
    by.ok_or_else(|| Refusal::malformed("say with `by` who makes the change"))
}

fn metadata(question: &Question) -> Metadata {
    question.parameters.metadata().into_iter().collect()
}

fn no_key(question: &Question, key: &str) -> Refusal {
    let component = &question.component;
    Refusal::not_found(format!("there is no key `{key}` in {component}"))
}

fn item(key: String, item: Item) -> wire::ConfigItem {
    wire::ConfigItem {
        key,
        value: item.value,
        version: item.version,
        metadata: item.metadata,
    }
}

fn record(change: Recorded) -> wire::ConfigRecord {
    let content = |content: Content| wire::ConfigContent {
        value: content.value,
        metadata: content.metadata,
    };
    wire::ConfigRecord {
        version: change.version.to_string(),
        time_unix_ms: change.version.unix_ms(),
        by: change.by,
        undoes: change.undoes.map(|undone| undone.to_string()),
        before: change.before.map(content),
        after: change.after.map(content),
    }
}

/// Changes, until the system stops.
struct Changes {
    subscription: Subscription,
    /// What has changed and was not told of.
    due: VecDeque<(String, Option<Item>)>,
    stopping: Stopping,
    failed: bool,
}

impl Lines for Changes {
    async fn next(&mut self) -> Option<Vec<u8>> {
        while !self.failed {
            if let Some((key, found)) = self.due.pop_front() {
                let after = found.map(|found| item(key.clone(), found));
                return Some(reply::json_bytes(&wire::ConfigChange { key, after }));
            }
            let changes: Result<BTreeMap<_, _>, _> = tokio::select! {
                biased;
                () = self.stopping.begins() => return None,
                changes = self.subscription.changed() => changes,
            };
            match changes {
                Ok(changes) => self.due = changes.into_iter().collect(),
                Err(ConfigurationError::Closed) => return None,
                Err(error) => {
                    self.failed = true;
                    return Some(Refusal::from(error).line());
                }
            }
        }
        None
    }
}
