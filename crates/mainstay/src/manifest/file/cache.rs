//! What is kept to be given again: answers of calls, and values of state.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{PositiveTime, Time};
use crate::document::form::{Formed, PercentForm, SizeForm};

/// How long answers are kept and given again. Headers of an answer may shorten that (`cache-control`), never lengthen it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cache {
    /// How long an answer is given again without asking: 10 ms to 30 days.
    pub(crate) ttl: PositiveTime,
    /// How long after that it is given when there is no answer, marked as stale; not at all when absent.
    pub(crate) stale: Option<Time>,
    /// After which part of `ttl` an answer that is asked for is fetched anew in the background; 80% when absent, 0% for never.
    pub(crate) refresh: Option<Formed<PercentForm>>,
    /// How long "there is none" (404, 410) is given again; 5 s when absent, at most `ttl`.
    pub(crate) negative: Option<Time>,
    /// Most bytes in memory, 64KiB to 64GiB; 64MiB when absent.
    pub(crate) max: Option<Formed<SizeForm>>,
    /// Request headers on which answers depend. Naming `authorization` or `cookie` lets requests with them be cached.
    #[serde(default)]
    pub(crate) vary: Vec<String>,
    /// The URL of a Redis that several machines share, instead of memory. `${NAME}` is replaced from the environment.
    pub(crate) redis: Option<String>,
}

/// What the manifest says of a component.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-elsewhere" = {
    "type": "components are declared by Dapr files in the folder of `resources`",
    "metadata": "components are declared by Dapr files in the folder of `resources`",
}))]
pub(crate) struct Component {
    /// Keeps the values of a state store for a time, and gives them again to reads that ask for no strong consistency.
    pub(crate) cache: Option<StateCache>,
}

/// How long values of state are kept and given again; never longer than they live themselves.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(extend("x-elsewhere" = { "vary": "only answers of calls vary" }))]
pub(crate) struct StateCache {
    /// How long a value is given again without asking: 10 ms to 30 days. Changes made here are seen at once.
    pub(crate) ttl: PositiveTime,
    /// How long after that it is given when the store does not answer, marked as stale; not at all when absent.
    pub(crate) stale: Option<Time>,
    /// After which part of `ttl` a value that is asked for is read anew in the background; 80% when absent, 0% for never.
    pub(crate) refresh: Option<Formed<PercentForm>>,
    /// How long "there is none" is given again; 5 s when absent, at most `ttl`.
    pub(crate) negative: Option<Time>,
    /// Most bytes in memory, 64KiB to 64GiB; 64MiB when absent.
    pub(crate) max: Option<Formed<SizeForm>>,
    /// The URL of a Redis that several machines share, instead of memory. `${NAME}` is replaced from the environment.
    pub(crate) redis: Option<String>,
}
