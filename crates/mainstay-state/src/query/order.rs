//! Finding parts of values and comparing them.

use std::cmp::Ordering;

use serde_json::{Number, Value};

/// What is at a path: names of fields and positions in arrays between dots. A field whose name is the whole path comes
/// first.
pub(super) fn lookup<'a>(document: &'a Value, path: &str) -> Option<&'a Value> {
    if let Some(found) = document.get(path) {
        return Some(found);
    }
    path.split('.').try_fold(document, |part, name| match part {
        Value::Object(fields) => fields.get(name),
        Value::Array(entries) => entries.get(name.parse::<usize>().ok()?),
        _ => None,
    })
}

/// Numbers with numbers and texts with texts; nothing else has an order.
pub(super) fn compare(left: &Value, right: &Value) -> Option<Ordering> {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => Some(compare_numbers(left, right)),
        (Value::String(left), Value::String(right)) => Some(left.cmp(right)),
        _ => None,
    }
}

/// The same value; 1 and 1.0 are.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => compare_numbers(left, right).is_eq(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(name, left)| right.get(name).is_some_and(|right| equal(left, right)))
        }
        _ => left == right,
    }
}

/// A total order for sorting: nothing, `null`, `false`, `true`, numbers, texts, then everything else as equal.
pub(super) fn sort_order(left: Option<&Value>, right: Option<&Value>) -> Ordering {
    if let (Some(left), Some(right)) = (left, right)
        && let Some(order) = compare(left, right)
    {
        return order;
    }
    rank(left).cmp(&rank(right))
}

fn rank(value: Option<&Value>) -> u8 {
    match value {
        None => 0,
        Some(Value::Null) => 1,
        Some(Value::Bool(false)) => 2,
        Some(Value::Bool(true)) => 3,
        Some(Value::Number(_)) => 4,
        Some(Value::String(_)) => 5,
        Some(Value::Array(_) | Value::Object(_)) => 6,
    }
}

/// By their exact values: an order that is not total would be none to sort by, and a rounded one is not.
fn compare_numbers(left: &Number, right: &Number) -> Ordering {
    match (left.as_i128(), right.as_i128()) {
        (Some(left), Some(right)) => left.cmp(&right),
        (Some(left), None) => compare_mixed(left, float(right)),
        (None, Some(right)) => compare_mixed(right, float(left)).reverse(),
        // JSON has no infinities and nothing that is not a number.
        (None, None) => float(left).total_cmp(&float(right)),
    }
}

fn compare_mixed(whole: i128, float: f64) -> Ordering {
    // Exact: floats beyond 2^127 become the last whole number, and ours are 64 bits long.
    let floor = float.floor();
    let order = whole.cmp(&(floor as i128));
    order.then(if float > floor {
        Ordering::Less
    } else {
        Ordering::Equal
    })
}

fn float(number: &Number) -> f64 {
    number.as_f64().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_have_one_order() {
        let ascending = [
            json!(-1e300),
            json!(i64::MIN),
            json!(-1.5),
            json!(-1),
            json!(-0.5),
            json!(0),
            json!(0.5),
            json!(9_007_199_254_740_992_u64),
            json!(9_007_199_254_740_993_u64),
            json!(9_007_199_254_740_994.0),
            json!(u64::MAX),
            json!(18_446_744_073_709_551_616.0),
            json!(1e300),
        ];
        for (at, left) in ascending.iter().enumerate() {
            for (other, right) in ascending.iter().enumerate() {
                assert_eq!(compare(left, right), Some(at.cmp(&other)), "{left} {right}");
                assert_eq!(equal(left, right), at == other, "{left} {right}");
            }
        }
        assert!(equal(&json!(0), &json!(0.0)) && equal(&json!(3), &json!(3.0)));
    }
}
