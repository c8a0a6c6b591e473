//! The query language of Dapr's state API, over values that are JSON. Pure: components feed it what they hold.
//!
//! ```json
//! { "filter": { "AND": [ { "EQ": { "person.org": "Dev Ops" } }, { "GTE": { "age": 30 } } ] },
//!   "sort": [ { "key": "state", "order": "DESC" } ],
//!   "page": { "limit": 3, "token": "6" } }
//! ```
//!
//! A key is a path into the value: names of fields, and positions in arrays, between dots. No filter means every value;
//! values that are not JSON are no part of any result.

mod filter;
mod order;
mod select;

use serde_json::{Map, Value};

pub use self::filter::{Comparison, Filter};
pub(crate) use self::select::Selection;
pub use self::select::{QueryPage, QueryResult};
use crate::limits::{MAX_FILTERS, MAX_QUERY_BYTES, MAX_RESULTS, MAX_SCANNED, MAX_SORT_KEYS};

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Query {
    /// Which values; all of them without one.
    pub filter: Option<Filter>,
    /// In which order; what is equal stands in the order of the keys.
    pub sort: Vec<Sort>,
    /// Which part of the results.
    pub page: Paging,
}

/// One key of the order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    /// The path into the value.
    pub path: String,
    /// Whether the largest stands first.
    pub descending: bool,
}

/// Which part of the results.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paging {
    /// How many at most: 1 to [`MAX_RESULTS`], which it is when nothing is said.
    pub limit: usize,
    /// How many to leave out: what the token of the page before says.
    pub offset: usize,
}

impl Default for Paging {
    fn default() -> Self {
        Self {
            limit: MAX_RESULTS,
            offset: 0,
        }
    }
}

/// Why a query cannot be answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QueryError {
    /// Not JSON, or no object.
    #[error("failed to parse JSON query body: {0}")]
    Json(String),
    /// A part of it that is not known.
    #[error("unknown part {0:?} of the query: there are \"filter\", \"sort\" and \"page\"")]
    UnknownPart(String),
    /// An operator that does not exist.
    #[error("unsupported filter {0:?}: there are EQ, NEQ, GT, GTE, LT, LTE, IN, AND and OR")]
    UnknownOperator(String),
    /// Something that is not in its form.
    #[error("{0}")]
    Malformed(String),
    /// More than any query needs.
    #[error("the query has more than {limit} {what}")]
    TooLong {
        /// Of what.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// More values than a query may look at.
    #[error("the query looks at more than {MAX_SCANNED} values: keep them in state stores of their own")]
    TooManyValues,
    /// Larger results than may be sorted.
    #[error("the query finds more than {0} bytes: filter for less")]
    TooBroad(usize),
}

impl Query {
    /// Reads the body of a query.
    pub fn parse(body: &[u8]) -> Result<Self, QueryError> {
        if body.len() > MAX_QUERY_BYTES {
            return Err(too_long("bytes", MAX_QUERY_BYTES));
        }
        let body: Value =
            serde_json::from_slice(body).map_err(|error| QueryError::Json(error.to_string()))?;
        let Value::Object(parts) = body else {
            return Err(QueryError::Json("it must be an object".to_owned()));
        };
        let mut query = Self::default();
        for (name, part) in &parts {
            match name.as_str() {
                "filter" => query.filter = filter::parse(part)?,
                "sort" => query.sort = parse_sort(part)?,
                "page" => query.page = parse_page(part)?,
                _ => return Err(QueryError::UnknownPart(name.clone())),
            }
        }
        if query.filter.as_ref().map_or(0, Filter::count) > MAX_FILTERS {
            return Err(too_long("filters and values", MAX_FILTERS));
        }
        Ok(query)
    }
}

fn too_long(what: &'static str, limit: usize) -> QueryError {
    QueryError::TooLong { what, limit }
}

fn malformed(message: impl Into<String>) -> QueryError {
    QueryError::Malformed(message.into())
}

fn parse_sort(part: &Value) -> Result<Vec<Sort>, QueryError> {
    let keys = part
        .as_array()
        .ok_or_else(|| malformed("\"sort\" must be an array"))?;
    if keys.len() > MAX_SORT_KEYS {
        return Err(too_long("sort keys", MAX_SORT_KEYS));
    }
    keys.iter().map(parse_sort_key).collect()
}

fn parse_sort_key(key: &Value) -> Result<Sort, QueryError> {
    let path = key
        .get("key")
        .and_then(Value::as_str)
        .filter(|path| !path.is_empty())
        .ok_or_else(|| {
            malformed("an entry of \"sort\" must have a \"key\", which is a path into the value")
        })?;
    let descending = match key
        .get("order")
        .map(|order| order.as_str().map(str::to_uppercase))
    {
        None => false,
        Some(Some(order)) if order.is_empty() || order == "ASC" => false,
        Some(Some(order)) if order == "DESC" => true,
        Some(_) => {
            return Err(malformed(
                "the \"order\" of a sort key must be \"ASC\" or \"DESC\"",
            ));
        }
    };
    Ok(Sort {
        path: path.to_owned(),
        descending,
    })
}

fn parse_page(part: &Value) -> Result<Paging, QueryError> {
    let page: &Map<String, Value> = part
        .as_object()
        .ok_or_else(|| malformed("\"page\" must be a map"))?;
    let limit = match page.get("limit") {
        None => 0,
        Some(limit) => limit
            .as_u64()
            .ok_or_else(|| malformed("the \"limit\" of \"page\" must be a number from 0 on"))?,
    };
    let offset = match page.get("token").map(Value::as_str) {
        None | Some(Some("")) => 0,
        Some(token) => token
            .and_then(|token| token.parse().ok())
            .ok_or_else(|| malformed("the \"token\" of \"page\" must be one that a query gave"))?,
    };
    let limit = usize::try_from(limit).unwrap_or(MAX_RESULTS);
    Ok(Paging {
        // As in Dapr, no limit is 0; there is always one.
        limit: if limit == 0 {
            MAX_RESULTS
        } else {
            limit.min(MAX_RESULTS)
        },
        offset,
    })
}

#[cfg(test)]
mod tests;
