//! Which values a query is about.

use std::cmp::Ordering;

use serde_json::{Map, Value};

use super::order::{compare, equal, lookup};
use super::{QueryError, malformed};

/// Which values.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// What is at the path compares so with a value. What is not there compares with nothing.
    Field {
        /// The path.
        path: String,
        /// How.
        comparison: Comparison,
        /// With what.
        value: Value,
    },
    /// What is at the path is one of these.
    In {
        /// The path.
        path: String,
        /// These.
        values: Vec<Value>,
    },
    /// All of them hold.
    And(Vec<Filter>),
    /// One of them holds.
    Or(Vec<Filter>),
}

/// How two values compare. Numbers compare with numbers and texts with texts, by their code points; nothing else is
/// larger or smaller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `EQ`.
    Equal,
    /// `NEQ`: everything but `EQ`, also where there is nothing.
    NotEqual,
    /// `GT`.
    Greater,
    /// `GTE`.
    GreaterOrEqual,
    /// `LT`.
    Less,
    /// `LTE`.
    LessOrEqual,
}

impl Comparison {
    fn parse(operator: &str) -> Option<Self> {
        Some(match operator {
            "EQ" => Self::Equal,
            "NEQ" => Self::NotEqual,
            "GT" => Self::Greater,
            "GTE" => Self::GreaterOrEqual,
            "LT" => Self::Less,
            "LTE" => Self::LessOrEqual,
            _ => return None,
        })
    }

    fn holds(self, found: Option<&Value>, value: &Value) -> bool {
        let Some(found) = found else {
            return self == Self::NotEqual;
        };
        let order = || compare(found, value);
        match self {
            Self::Equal => equal(found, value),
            Self::NotEqual => !equal(found, value),
            Self::Greater => order() == Some(Ordering::Greater),
            Self::GreaterOrEqual => order().is_some_and(Ordering::is_ge),
            Self::Less => order() == Some(Ordering::Less),
            Self::LessOrEqual => order().is_some_and(Ordering::is_le),
        }
    }
}

impl Filter {
    /// Whether a value is one of those.
    pub fn matches(&self, document: &Value) -> bool {
        match self {
            Self::Field {
                path,
                comparison,
                value,
            } => comparison.holds(lookup(document, path), value),
            Self::In { path, values } => {
                lookup(document, path).is_some_and(|found| values.iter().any(|value| equal(found, value)))
            }
            Self::And(filters) => filters.iter().all(|filter| filter.matches(document)),
            Self::Or(filters) => filters.iter().any(|filter| filter.matches(document)),
        }
    }

    /// How many comparisons it may take.
    pub(super) fn count(&self) -> usize {
        match self {
            Self::Field { .. } => 1,
            Self::In { values, .. } => 1 + values.len(),
            Self::And(filters) | Self::Or(filters) => 1 + filters.iter().map(Self::count).sum::<usize>(),
        }
    }
}

/// Reads a filter; an empty one is none. The parser of JSON has bounded its depth.
pub(super) fn parse(part: &Value) -> Result<Option<Filter>, QueryError> {
    let unit = part
        .as_object()
        .ok_or_else(|| malformed("filter unit must be a map"))?;
    if unit.is_empty() {
        return Ok(None);
    }
    parse_unit(unit).map(Some)
}

fn parse_unit(unit: &Map<String, Value>) -> Result<Filter, QueryError> {
    let (operator, operand) =
        single(unit).ok_or_else(|| malformed("filter unit must have a single element"))?;
    match operator.as_str() {
        "AND" => Ok(Filter::And(parse_list(operator, operand)?)),
        "OR" => Ok(Filter::Or(parse_list(operator, operand)?)),
        "IN" => {
            let (path, values) = pair(operator, operand)?;
            let values = values
                .as_array()
                .ok_or_else(|| malformed("IN filter value must be an array"))?
                .clone();
            Ok(Filter::In { path, values })
        }
        _ => parse_field(operator, operand),
    }
}

fn parse_field(operator: &str, operand: &Value) -> Result<Filter, QueryError> {
    let comparison =
        Comparison::parse(operator).ok_or_else(|| QueryError::UnknownOperator(operator.to_owned()))?;
    let (path, value) = pair(operator, operand)?;
    let any = matches!(comparison, Comparison::Equal | Comparison::NotEqual);
    if !any && !value.is_number() && !value.is_string() {
        return Err(malformed(format!(
            "{operator} filter value must be a number or a text"
        )));
    }
    Ok(Filter::Field {
        path,
        comparison,
        value: value.clone(),
    })
}

fn parse_list(operator: &str, operand: &Value) -> Result<Vec<Filter>, QueryError> {
    let units = operand
        .as_array()
        .ok_or_else(|| malformed(format!("{operator} filter must be an array")))?;
    if units.len() < 2 {
        return Err(malformed(format!(
            "{operator} filter must contain at least two entries"
        )));
    }
    let filters = units.iter().map(|unit| {
        let unit = unit
            .as_object()
            .ok_or_else(|| malformed("filter unit must be a map"))?;
        parse_unit(unit)
    });
    filters.collect()
}

fn pair<'a>(operator: &str, operand: &'a Value) -> Result<(String, &'a Value), QueryError> {
    let map = operand
        .as_object()
        .ok_or_else(|| malformed(format!("{operator} filter must be a map")))?;
    let (path, value) = single(map)
        .ok_or_else(|| malformed(format!("{operator} filter must contain a single key/value pair")))?;
    Ok((path.clone(), value))
}

fn single(map: &Map<String, Value>) -> Option<(&String, &Value)> {
    map.iter().next().filter(|_| map.len() == 1)
}
