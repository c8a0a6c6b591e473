//! What is said of the archive of the store's changes.

use schemars::JsonSchema;
use serde::Deserialize;

use super::PositiveTime;
use crate::document::form::{Formed, LongDurationForm};

/// Where all changes of the store are kept, and how: with `key`, `key_file` or `unencrypted: true`. `${NAME}` is replaced from
/// the environment in every text of it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Archive {
    /// A folder, seen from the manifest, or `s3://bucket/prefix`. The keys of S3 come from `AWS_ACCESS_KEY_ID` and
    /// `AWS_SECRET_ACCESS_KEY` in the environment.
    #[schemars(extend("examples" = ["./archive", "s3://backups/shop"]))]
    pub(crate) to: String,
    /// How often changes are archived, when there are any; 10 s when absent. What is younger is lost with the machine.
    pub(crate) every: Option<PositiveTime>,
    /// How long changes are kept, for example `7d`; for ever when absent.
    pub(crate) keep: Option<Formed<LongDurationForm>>,
    /// The key they are encrypted with: 32 bytes in base64.
    pub(crate) key: Option<String>,
    /// The file with that key, seen from the manifest; `mainstay backup --new-key FILE` makes one.
    pub(crate) key_file: Option<String>,
    /// Whether they are not encrypted: whoever can read the archive can read everything in it.
    #[serde(default)]
    pub(crate) unencrypted: bool,
    /// The S3 endpoint, where it is not that of AWS; `AWS_ENDPOINT_URL_S3` when absent.
    pub(crate) s3_endpoint: Option<String>,
    /// Its region; `AWS_REGION` when absent.
    pub(crate) s3_region: Option<String>,
}
