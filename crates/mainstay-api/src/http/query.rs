//! The parameters of a query.

use std::collections::HashMap;

use super::path::{self, Plus};

/// What stands before the name of a parameter that is metadata.
const METADATA: &str = "metadata.";

/// The parameters of a query, decoded; what cannot be decoded is left out, as Go does.
#[derive(Debug, Default)]
pub(crate) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// The parameters of the query of a request.
    pub(crate) fn of(query: Option<&str>) -> Self {
        let Some(query) = query else {
            return Self::default();
        };
        let pairs = query.split('&').filter(|pair| !pair.is_empty());
        let pairs = pairs.filter_map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((decode(key)?, decode(value)?))
        });
        Self(pairs.collect())
    }

    /// The first value of a parameter.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of a parameter.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let named = self.0.iter().filter(move |(key, _)| key == name);
        named.map(|(_, value)| value.as_str())
    }

    /// The first parameter that is none of these; metadata is never one.
    pub(crate) fn other_than(&self, known: &[&str]) -> Option<&str> {
        let names = self.0.iter().map(|(name, _)| name.as_str());
        let mut others = names.filter(|name| !known.contains(name) && !name.starts_with(METADATA));
        others.next()
    }

    /// The parameters `metadata.*`, the first value of each.
    pub(crate) fn metadata(&self) -> HashMap<String, String> {
        let mut metadata = HashMap::new();
        for (key, value) in &self.0 {
            if let Some(key) = key.strip_prefix(METADATA) {
                metadata.entry(key.to_owned()).or_insert_with(|| value.clone());
            }
        }
        metadata
    }
}

fn decode(text: &str) -> Option<String> {
    let decoded = path::decode(text.as_bytes(), Plus::Space).ok()?;
    Some(String::from_utf8_lossy(&decoded).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_decoded_and_metadata_is_set_apart() {
        let parameters = Parameters::of(Some(
            "key=a+b&key=c&metadata.x=1&metadata.x=2&bad=%zz&consistency",
        ));
        assert_eq!(parameters.all("key").collect::<Vec<_>>(), ["a b", "c"]);
        assert_eq!(parameters.get("consistency"), Some(""));
        assert_eq!(parameters.get("bad"), None);
        assert_eq!(parameters.other_than(&["key"]), Some("consistency"));
        assert_eq!(parameters.other_than(&["key", "consistency"]), None);
        assert_eq!(
            parameters.metadata(),
            HashMap::from([("x".to_owned(), "1".to_owned())])
        );
        assert!(Parameters::of(None).metadata().is_empty());
    }
}
