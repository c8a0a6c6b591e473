//! The JSON of migrations.

use serde::{Deserialize, Serialize};

/// `GET /api/migration`: the present migration, or the last one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Migration {
    /// Absent when nothing was ever migrated.
    pub migration: Option<mainstay_migrate::Status>,
}

/// The body of `POST /api/migration`: begins one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MigrationBegin {
    /// Where to: `embedded`, `${DATABASE_URL}`, `file:/path`, a URL without a password.
    pub to: String,
    /// How the present store is found again, where the manifest spells out a password.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
}
