//! Texts of a special form: durations, percentages, names. Each form has one reader, which the check against the schema
//! and the typed value share.

mod dapr;
mod values;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use std::fmt;
use std::marker::PhantomData;

pub(crate) use dapr::{DaprTimeForm, GrpcCodesForm, HttpCodesForm};
pub(crate) use values::{
    AvailabilityForm, DurationForm, LongDurationForm, NameForm, PercentForm, PositiveDurationForm,
    ReplicasForm, SizeForm, Text, TextForm, VariableForm, read_long_duration,
};

/// A form of text. Its name is the `format` in the JSON schema.
pub(crate) trait Form {
    /// What the text stands for.
    type Value;
    /// The `format` in the JSON schema.
    const NAME: &'static str;
    /// What an editor shows.
    const EXAMPLES: &'static [&'static str];
    /// The JSON types of a value in this form.
    const TYPES: &'static [&'static str] = &["string"];
    /// Reads it; the error is a sentence that says what is expected.
    fn read(text: &str) -> Result<Self::Value, String>;
}

/// A value written in the form `F`.
pub(crate) struct Formed<F: Form>(pub(crate) F::Value, PhantomData<F>);

impl<F: Form> fmt::Debug for Formed<F>
where
    F::Value: fmt::Debug,
{
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl<'de, F: Form> Deserialize<'de> for Formed<F> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        F::read(&text)
            .map(|value| Self(value, PhantomData))
            .map_err(D::Error::custom)
    }
}

impl<F: Form> JsonSchema for Formed<F> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        F::NAME.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = match F::TYPES {
            [one] => json_schema!({ "type": one }),
            several => json_schema!({ "type": several }),
        };
        schema.insert("format".to_owned(), F::NAME.into());
        if !F::EXAMPLES.is_empty() {
            schema.insert("examples".to_owned(), F::EXAMPLES.into());
        }
        schema
    }
}

/// Says what is wrong with a text.
pub(crate) type Reader = fn(&str) -> Result<(), String>;

const fn reader<F: Form>() -> (&'static str, Reader) {
    (F::NAME, |text| F::read(text).map(drop))
}

/// Every form by its name.
const READERS: &[(&str, Reader)] = &[
    reader::<DurationForm>(),
    reader::<PositiveDurationForm>(),
    reader::<LongDurationForm>(),
    reader::<AvailabilityForm>(),
    reader::<PercentForm>(),
    reader::<SizeForm>(),
    reader::<NameForm>(),
    reader::<TextForm>(),
    reader::<ReplicasForm>(),
    reader::<VariableForm>(),
    reader::<DaprTimeForm>(),
    reader::<HttpCodesForm>(),
    reader::<GrpcCodesForm>(),
];

/// The reader of the form called `name`; `None` for the formats that are only hints, like `uint16`.
pub(crate) fn reader_of(name: &str) -> Option<Reader> {
    READERS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, reader)| *reader)
}
