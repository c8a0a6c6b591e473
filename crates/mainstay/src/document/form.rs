//! Texts of a special form: durations, percentages, names. Each form has one reader, which the check against the schema
//! and the typed value share.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use mainstay_base::{AppId, Availability, format_duration, parse_duration};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

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

type Reader = fn(&str) -> Result<(), String>;

const fn reader<F: Form>() -> (&'static str, Reader) {
    (F::NAME, |text| F::read(text).map(drop))
}

/// Every form by its name.
const READERS: &[(&str, Reader)] = &[
    reader::<DurationForm>(),
    reader::<PositiveDurationForm>(),
    reader::<AvailabilityForm>(),
    reader::<NameForm>(),
    reader::<TextForm>(),
    reader::<ReplicasForm>(),
    reader::<VariableForm>(),
];

/// The reader of the form called `name`; `None` for the formats that are only hints, like `uint16`.
pub(crate) fn reader_of(name: &str) -> Option<Reader> {
    READERS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, reader)| *reader)
}

/// `300ms`, `1m30s`.
#[derive(Debug)]
pub(crate) enum DurationForm {}

impl Form for DurationForm {
    type Value = Duration;
    const NAME: &'static str = "duration-with-unit";
    const EXAMPLES: &'static [&'static str] = &["300ms", "1m30s"];

    fn read(text: &str) -> Result<Duration, String> {
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) && text != "0" {
            return Err(format!(
                "`{text}` has no unit: is it {text}ms or {text}s? (units: ns us ms s m h)"
            ));
        }
        parse_duration(text).map_err(|error| error.to_string())
    }
}

/// A duration that is not zero.
#[derive(Debug)]
pub(crate) enum PositiveDurationForm {}

impl Form for PositiveDurationForm {
    type Value = Duration;
    const NAME: &'static str = "positive-duration";
    const EXAMPLES: &'static [&'static str] = DurationForm::EXAMPLES;

    fn read(text: &str) -> Result<Duration, String> {
        match DurationForm::read(text)? {
            Duration::ZERO => Err(format!(
                "`{text}` must be longer than {}",
                format_duration(Duration::ZERO)
            )),
            duration => Ok(duration),
        }
    }
}

/// `99.9%`.
#[derive(Debug)]
pub(crate) enum AvailabilityForm {}

impl Form for AvailabilityForm {
    type Value = Availability;
    const NAME: &'static str = "percentage";
    const EXAMPLES: &'static [&'static str] = &["99.9%", "99.95%"];

    fn read(text: &str) -> Result<Availability, String> {
        text.parse().map_err(
            |error: mainstay_base::InvalidAvailability| match text.parse::<f64>() {
                Ok(_) => format!("`{text}` has no percent sign: write {text}%"),
                Err(_) => error.to_string(),
            },
        )
    }
}

/// `orders`.
#[derive(Debug)]
pub(crate) enum NameForm {}

impl Form for NameForm {
    type Value = AppId;
    const NAME: &'static str = "app-name";
    const EXAMPLES: &'static [&'static str] = &["orders"];

    fn read(text: &str) -> Result<AppId, String> {
        AppId::new(text).map_err(|error| error.to_string())
    }
}

/// Text of any kind; numbers and words like `true` need no quotes and stay as they are written.
#[derive(Debug)]
pub(crate) enum TextForm {}

impl Form for TextForm {
    type Value = String;
    const NAME: &'static str = "text";
    const EXAMPLES: &'static [&'static str] = &[];
    const TYPES: &'static [&'static str] = &["string", "number", "boolean"];

    fn read(text: &str) -> Result<String, String> {
        Ok(text.to_owned())
    }
}

/// `2..6`: the smallest and the largest number of replicas.
#[derive(Debug)]
pub(crate) enum ReplicasForm {}

impl Form for ReplicasForm {
    type Value = (u32, u32);
    const NAME: &'static str = "replica-range";
    const EXAMPLES: &'static [&'static str] = &["2..6"];

    fn read(text: &str) -> Result<(u32, u32), String> {
        let range = text.split_once("..").and_then(|(min, max)| {
            let number = |text: &str| {
                text.trim()
                    .parse::<u32>()
                    .ok()
                    .filter(|number| (1..=MAX_REPLICAS).contains(number))
            };
            Some((number(min)?, number(max)?))
        });
        match range {
            Some((min, max)) if min <= max => Ok((min, max)),
            Some((min, max)) => Err(format!("`{text}` is the wrong way round: write {max}..{min}")),
            None => Err(format!(
                "`{text}` is not a number of replicas: write 2 or 2..6, from 1 to {MAX_REPLICAS}"
            )),
        }
    }
}

/// Most replicas of one app on one machine.
pub(crate) const MAX_REPLICAS: u32 = 100;

/// `LOG_LEVEL`.
#[derive(Debug)]
pub(crate) enum VariableForm {}

impl Form for VariableForm {
    type Value = String;
    const NAME: &'static str = "environment-variable";
    const EXAMPLES: &'static [&'static str] = &["LOG_LEVEL"];

    fn read(text: &str) -> Result<String, String> {
        if text.is_empty() || text.contains(['=', '\0']) {
            return Err(format!("`{text}` is not the name of a variable"));
        }
        Ok(text.to_owned())
    }
}
