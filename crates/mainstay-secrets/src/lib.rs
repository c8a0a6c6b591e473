//! Secrets: what apps and components need and nobody else may see.
//!
//! ```text
//!   the API: decode, ask the scopes (Scopes), one call, encode           components: secretKeyRef
//!        │                                                                    │
//!   SecretStore (port) ──── one conformance suite for all of them ────────────┘
//!        ├── Environment   secretstores.local.env    variables of this process
//!        ├── LocalFile     secretstores.local.file   a JSON file
//!        └── Stored        secretstores.mainstay     on the store, sealed with a key that is not in it
//! ```
//!
//! A value is a [`SecretText`] from where it is read to where it is sent: it has no `Debug` worth the name, and its memory
//! is wiped when it is dropped.

#[cfg(feature = "conformance")]
pub mod conformance;
pub mod environment;
mod error;
pub mod file;
pub mod limits;
mod port;
mod scope;
pub mod stored;
mod text;

pub use environment::Environment;
pub use error::SecretsError;
pub use file::LocalFile;
pub use port::{Features, Secret, SecretStore};
pub use scope::{Access, InvalidScopes, Scope, Scopes};
pub use stored::Stored;
pub use text::SecretText;
