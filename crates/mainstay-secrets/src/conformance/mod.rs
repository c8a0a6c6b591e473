//! What every component has to pass: tests for each rule of the port.
//!
//! A component's tests call [`conformance_suite!`](crate::conformance_suite) with a [`Subject`].

// These are assertions that other crates' tests run.
#![expect(
    clippy::unwrap_used,
    missing_docs,
    reason = "tests, though compiled as a library for the tests of components"
)]

pub mod reads;

use std::future::Future;
use std::sync::Arc;

use crate::{Secret, SecretStore, SecretsError};

/// A component under test.
pub trait Subject: Sized {
    /// A component that holds these secrets, each with a single value, and no others.
    fn open(secrets: &[(&str, &str)]) -> impl Future<Output = Self>;

    /// The component.
    fn secrets(&self) -> Arc<dyn SecretStore>;
}

/// One `#[tokio::test]` for each promise, run against a [`Subject`].
#[macro_export]
macro_rules! conformance_suite {
    ($subject:ty) => {
        $crate::conformance_suite!(@tests $subject,
            reads::a_secret_has_its_value_under_its_name,
            reads::any_text_comes_back,
            reads::names_are_not_mixed_up,
            reads::what_is_not_there_is_not_found,
            reads::names_have_a_size,
            reads::bulk_gives_all,
            reads::nothing_is_a_bulk_too,
            reads::values_are_never_shown,
        );
    };
    (@tests $subject:ty, $($module:ident :: $name:ident),+ $(,)?) => {
        $(
            #[tokio::test]
            async fn $name() {
                $crate::conformance::$module::$name::<$subject>().await;
            }
        )+
    };
}

async fn value(subject: &impl Subject, name: &str) -> Result<String, SecretsError> {
    let secret = subject.secrets().get(name).await?;
    Ok(single(name, &secret))
}

fn single(name: &str, secret: &Secret) -> String {
    assert_eq!(secret.values().len(), 1, "{secret:?}");
    secret.value(name).unwrap().expose().to_owned()
}
