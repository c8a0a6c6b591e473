//! `/api/secrets/COMPONENT/…`

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{Method, Response, StatusCode};
use mainstay_mesh::Body;
use mainstay_secrets::{Secret, SecretText, Stored};

use super::{Question, Refusal, bounded, text};
use crate::blocks::SecretComponent;
use crate::control::Control;
use crate::control::lines::{self, Ready};
use crate::{reply, wire};

impl Control {
    /// Answers what is asked of a secret component.
    pub(super) async fn secrets(&self, question: &Question, body: &Bytes) -> Result<Response<Body>, Refusal> {
        let component = question.component("secret", &self.options.blocks.secrets)?;
        match (&question.method, question.rest().as_slice()) {
            (&Method::GET, ["names"]) => list(question, component).await,
            (&Method::GET, ["names", name]) => get(question, component, name).await,
            (&Method::PUT, ["names", name]) => set(question, component, name, text(body)?).await,
            (&Method::DELETE, ["names", name]) => delete(question, component, name).await,
            (&Method::POST, ["rewrap"]) => {
                question.takes(&[])?;
                let rewrapped = bounded(stored(question, component)?.rewrap()).await?;
                let rewrapped = wire::SecretsRewrapped {
                    done: rewrapped.done as u64,
                    changed: rewrapped.changed as u64,
                };
                Ok(reply::json(StatusCode::OK, &rewrapped))
            }
            (_, ["names"]) => Ok(question.unanswered(Some("GET"))),
            (_, ["names", _]) => Ok(question.unanswered(Some("GET, PUT, DELETE"))),
            (_, ["rewrap"]) => Ok(question.unanswered(Some("POST"))),
            _ => Ok(question.unanswered(None)),
        }
    }
}

async fn list(question: &Question, component: &SecretComponent) -> Result<Response<Body>, Refusal> {
    question.takes(&[])?;
    let names: Vec<wire::SecretName> = if let Some(stored) = &component.stored {
        let listed = bounded(stored.list()).await?.into_iter();
        let listed = listed.map(|listed| wire::SecretName {
            name: listed.name,
            version: Some(listed.version.to_string()),
            key: Some(listed.key),
        });
        listed.collect()
    } else {
        let names = bounded(component.store.bulk()).await?.into_keys();
        let names = names.map(|name| wire::SecretName {
            name,
            version: None,
            key: None,
        });
        names.collect()
    };
    let lines = names.into_iter().map(|name| reply::json_bytes(&name));
    Ok(lines::answer(Ready(lines)))
}

async fn get(
    question: &Question,
    component: &SecretComponent,
    name: &str,
) -> Result<Response<Body>, Refusal> {
    question.takes(&["reveal"])?;
    let reveal: Option<bool> = question.parsed("reveal", "true or false")?;
    let secret = bounded(component.store.get(name)).await?;
    let parts = secret.values().map(|(part, _)| part.to_owned()).collect();
    let values = (reveal == Some(true)).then(|| exposed(&secret));
    let name = name.to_owned();
    Ok(reply::json(
        StatusCode::OK,
        &wire::SecretItem { name, parts, values },
    ))
}

/// On its way out.
fn exposed(secret: &Secret) -> BTreeMap<String, String> {
    let values = secret.values();
    values
        .map(|(part, value)| (part.to_owned(), value.expose().to_owned()))
        .collect()
}

async fn set(
    question: &Question,
    component: &SecretComponent,
    name: &str,
    value: &str,
) -> Result<Response<Body>, Refusal> {
    question.takes(&["part"])?;
    let stored = stored(question, component)?;
    let value = SecretText::from(value);
    let version = match question.parameters.get("part") {
        None => bounded(stored.set(name, &Secret::single(name, value))).await?,
        Some(part) => bounded(stored.set_value(name, part, value)).await?,
    };
    let changed = wire::SecretChanged {
        name: name.to_owned(),
        version: version.to_string(),
    };
    Ok(reply::json(StatusCode::OK, &changed))
}

async fn delete(
    question: &Question,
    component: &SecretComponent,
    name: &str,
) -> Result<Response<Body>, Refusal> {
    question.takes(&[])?;
    if bounded(stored(question, component)?.delete(name)).await? {
        return Ok(reply::empty(StatusCode::NO_CONTENT));
    }
    let component = &question.component;
    Err(Refusal::not_found(format!(
        "there is no secret `{name}` in {component}"
    )))
}

fn stored<'a>(question: &Question, component: &'a SecretComponent) -> Result<&'a Stored, Refusal> {
    let stored = component.stored.as_ref();
    stored.ok_or_else(|| {
        Refusal::read_only(
            &question.component,
            &component.about.kind,
            "a secretstores.mainstay",
        )
    })
}
