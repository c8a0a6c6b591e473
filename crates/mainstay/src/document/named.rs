//! A mapping that keeps the order of the file.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::form::{Form, TextForm};

/// A mapping from names of the form `K` to values, in the order of the file.
pub(crate) struct Named<V, K: Form = TextForm>(Vec<(K::Value, V)>);

impl<V, K: Form> Named<V, K> {
    /// One after another.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K::Value, &V)> {
        self.0.iter().map(|(name, value)| (name, value))
    }
}

impl<V, K: Form> Default for Named<V, K> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<V: fmt::Debug, K: Form<Value: fmt::Debug>> fmt::Debug for Named<V, K> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_map().entries(self.iter()).finish()
    }
}

impl<V: JsonSchema, K: Form> JsonSchema for Named<V, K> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Named_{}_{}", K::NAME, V::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "propertyNames": { "format": K::NAME },
            "additionalProperties": generator.subschema_for::<V>(),
        })
    }
}

impl<'de, V: Deserialize<'de>, K: Form> Deserialize<'de> for Named<V, K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<V, K>(PhantomData<(V, K)>);

        impl<'de, V: Deserialize<'de>, K: Form> Visitor<'de> for Entries<V, K> {
            type Value = Named<V, K>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a mapping")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some((key, value)) = map.next_entry::<String, V>()? {
                    entries.push((K::read(&key).map_err(A::Error::custom)?, value));
                }
                Ok(Named(entries))
            }
        }

        deserializer.deserialize_map(Entries(PhantomData))
    }
}
