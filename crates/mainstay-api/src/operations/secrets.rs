//! Secrets: what HTTP and gRPC ask of a component, in terms of neither.

use std::collections::{BTreeMap, HashMap};

use mainstay_secrets::{Secret, SecretText, SecretsError};

use super::measured;
use crate::blocks::{Blocks, SecretComponent};
use crate::errors::ApiError;
use crate::errors::secrets as errors;
use crate::metrics::Measured;

/// The values of a secret by their names, as they are sent.
pub(crate) type Values = HashMap<String, String>;

/// Reads a secret.
pub(crate) async fn get(blocks: &Blocks, store: &str, name: &str) -> Result<Values, ApiError> {
    let component = component(blocks, store)?;
    if !blocks.secret_scopes.allow(store, name) {
        return Err(errors::denied(store, name));
    }
    let reading = async {
        match component.store.get(name).await {
            Err(SecretsError::NotFound(_)) if component.store.features().missing_is_empty => {
                Ok(Secret::single(name, SecretText::default()))
            }
            outcome => outcome,
        }
    };
    let secret = bounded(component, store, Some(name), reading).await?;
    Ok(exposed(&secret))
}

/// Reads all secrets that the app may read.
pub(crate) async fn get_bulk(blocks: &Blocks, store: &str) -> Result<BTreeMap<String, Values>, ApiError> {
    let component = component(blocks, store)?;
    let secrets = bounded(component, store, None, component.store.bulk()).await?;
    let readable = secrets
        .into_iter()
        .filter(|(name, _)| blocks.secret_scopes.allow(store, name));
    Ok(readable.map(|(name, secret)| (name, exposed(&secret))).collect())
}

fn component<'a>(blocks: &'a Blocks, store: &str) -> Result<&'a SecretComponent, ApiError> {
    if blocks.secrets.is_empty() {
        return Err(errors::not_configured());
    }
    blocks.secrets.get(store).ok_or_else(|| errors::not_found(store))
}

/// On its way out.
fn exposed(secret: &Secret) -> Values {
    let values = secret.values();
    values
        .map(|(name, value)| (name.to_owned(), value.expose().to_owned()))
        .collect()
}

async fn bounded<T>(
    component: &SecretComponent,
    store: &str,
    name: Option<&str>,
    doing: impl Future<Output = Result<T, SecretsError>>,
) -> Result<T, ApiError> {
    let operation = if name.is_some() {
        Measured::Get
    } else {
        Measured::GetBulk
    };
    let done = measured(&component.about, operation, doing, SecretsError::fault).await;
    done.map_err(|undone| errors::undone(store, name, &undone))
}
