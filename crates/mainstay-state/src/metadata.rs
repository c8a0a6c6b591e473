//! The metadata of a component, as in a Dapr component file, on its way to the component's options. Pure; all that is wrong
//! is told at once.

use std::str::FromStr;
use std::time::Duration;

/// What any state component may be told; it is read by what stands on the component.
const COMMON: &[&str] = &[
    "actorStateStore",
    "keyPrefix",
    "outboxDiscardWhenMissingState",
    "outboxPublishPubsub",
    "outboxPublishTopic",
    "outboxPubsub",
    "primaryEncryptionKey",
    "secondaryEncryptionKey",
];

/// What is wrong with one name of the metadata. Values are not shown: they may be secrets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidMetadata {
    /// The component has no such option.
    #[error("`{name}` is not known to this component; it knows {}", known.join(", "))]
    Unknown {
        /// As it was written.
        name: String,
        /// All there are.
        known: &'static [&'static str],
    },
    /// Dapr has it, this component does not.
    #[error("`{name}` is not supported: {reason}")]
    Unsupported {
        /// The option.
        name: &'static str,
        /// Why, or what to do instead.
        reason: &'static str,
    },
    /// Its value cannot be used.
    #[error("`{name}` is not valid: {reason}")]
    Invalid {
        /// The option.
        name: &'static str,
        /// What it has to be.
        reason: String,
    },
    /// It has to be there.
    #[error("`{0}` is missing")]
    Missing(&'static str),
    /// It is there more than once, maybe under another of its names.
    #[error("`{0}` is given twice")]
    Twice(&'static str),
}

impl InvalidMetadata {
    /// The name in the metadata that it is about.
    pub fn name(&self) -> &str {
        match self {
            Self::Unknown { name, .. } => name,
            Self::Unsupported { name, .. }
            | Self::Invalid { name, .. }
            | Self::Missing(name)
            | Self::Twice(name) => name,
        }
    }
}

/// What a duration of the metadata says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Span {
    /// Nothing.
    Unsaid,
    /// It is negative, which in Dapr turns off what it is about.
    Off,
    /// So long.
    For(Duration),
}

/// Takes options out of metadata. Names are compared without regard to case; an empty value is none.
#[derive(Debug)]
pub(crate) struct Reader<'a> {
    pairs: Vec<(&'a str, &'a str)>,
    mistakes: Vec<InvalidMetadata>,
}

impl<'a> Reader<'a> {
    /// `known` has every name that will be asked for.
    pub(crate) fn new(
        pairs: impl IntoIterator<Item = (&'a str, &'a str)>,
        known: &'static [&'static str],
    ) -> Self {
        let (mut ours, mut mistakes) = (Vec::new(), Vec::new());
        for (name, value) in pairs {
            let is_among = |names: &[&str]| names.iter().any(|each| each.eq_ignore_ascii_case(name));
            if is_among(known) {
                ours.push((name, value.trim()));
            } else if !is_among(COMMON) {
                let name = name.to_owned();
                mistakes.push(InvalidMetadata::Unknown { name, known });
            }
        }
        Self {
            pairs: ours,
            mistakes,
        }
    }

    /// The value under the first of the names or an alias of it.
    pub(crate) fn text(&mut self, names: &[&'static str]) -> Option<&'a str> {
        let mut values = self.pairs.iter().filter(|(name, value)| {
            !value.is_empty() && names.iter().any(|each| each.eq_ignore_ascii_case(name))
        });
        let value = values.next().map(|(_, value)| *value);
        if values.next().is_some() {
            let name = names.first().copied().unwrap_or_default();
            self.mistakes.push(InvalidMetadata::Twice(name));
        }
        value
    }

    /// As [`Reader::text`]; it must be there.
    pub(crate) fn required(&mut self, names: &[&'static str]) -> &'a str {
        let value = self.text(names);
        if value.is_none() {
            let name = names.first().copied().unwrap_or_default();
            self.mistakes.push(InvalidMetadata::Missing(name));
        }
        value.unwrap_or_default()
    }

    /// Yes or no, in the words that Dapr takes; no when nothing is said.
    pub(crate) fn flag(&mut self, name: &'static str) -> bool {
        match self.text(&[name]).unwrap_or("false").to_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "on" | "1" => true,
            "false" | "f" | "no" | "n" | "off" | "0" => false,
            _ => {
                self.invalid(name, "write true or false");
                false
            }
        }
    }

    /// A whole number.
    pub(crate) fn number<T: FromStr>(&mut self, names: &[&'static str]) -> Option<T> {
        let text = self.text(names)?;
        let number = text.parse().ok();
        if number.is_none() {
            self.invalid(names.first().copied().unwrap_or_default(), "write a whole number");
        }
        number
    }

    /// A duration as `1m30s`, or a plain number of seconds.
    pub(crate) fn duration(&mut self, names: &[&'static str]) -> Span {
        let Some(text) = self.text(names) else {
            return Span::Unsaid;
        };
        if text.starts_with('-') {
            return Span::Off;
        }
        let plain = text.parse::<u32>().ok();
        let plain = plain.map(|seconds| Duration::from_secs(seconds.into()));
        if let Some(duration) = plain.or_else(|| mainstay_base::parse_duration(text).ok()) {
            return Span::For(duration);
        }
        let name = names.first().copied().unwrap_or_default();
        self.invalid(name, "write a duration, such as 500ms or 1m30s");
        Span::Unsaid
    }

    pub(crate) fn invalid(&mut self, name: &'static str, reason: impl Into<String>) {
        let reason = reason.into();
        self.mistakes.push(InvalidMetadata::Invalid { name, reason });
    }

    pub(crate) fn unsupported(&mut self, name: &'static str, reason: &'static str) {
        self.mistakes.push(InvalidMetadata::Unsupported { name, reason });
    }

    /// Those of `names` that are there.
    pub(crate) fn present(&mut self, names: &[&'static str]) -> Vec<&'static str> {
        let there = names.iter().filter(|name| self.text(&[name]).is_some());
        there.copied().collect()
    }

    /// The options, or all that is wrong.
    pub(crate) fn finish<T>(self, options: T) -> Result<T, Vec<InvalidMetadata>> {
        if self.mistakes.is_empty() {
            Ok(options)
        } else {
            Err(self.mistakes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: &[&str] = &["host", "port", "timeout", "url"];

    #[test]
    fn names_are_compared_without_case() {
        let mut reader = Reader::new([("HOST", " db "), ("keyprefix", "none"), ("port", "7")], KNOWN);
        assert_eq!(reader.required(&["host"]), "db");
        assert_eq!(reader.number::<u16>(&["port"]), Some(7));
        assert_eq!(reader.finish(()), Ok(()));
    }

    #[test]
    fn all_mistakes_are_told() {
        let pairs = [
            ("hots", "x"),
            ("port", "s3cret"),
            ("timeout", "soon"),
            ("URL", "1"),
            ("url", "2"),
        ];
        let mut reader = Reader::new(pairs, KNOWN);
        reader.required(&["host"]);
        reader.number::<u16>(&["port"]);
        reader.duration(&["timeout"]);
        reader.text(&["url"]);
        let mistakes = reader.finish(()).unwrap_err();
        let names: Vec<&str> = mistakes.iter().map(InvalidMetadata::name).collect();
        assert_eq!(names, ["hots", "host", "port", "timeout", "url"]);
        let told: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(
            told[0],
            "`hots` is not known to this component; it knows host, port, timeout, url"
        );
        assert!(!told.concat().contains("s3cret"));
    }

    #[test]
    fn durations_are_those_of_dapr() {
        let ms = |ms| Span::For(Duration::from_millis(ms));
        for (text, expected) in [
            ("5", ms(5_000)),
            ("1m30s", ms(90_000)),
            ("-1", Span::Off),
            ("", Span::Unsaid),
        ] {
            let mut reader = Reader::new([("timeout", text)], KNOWN);
            assert_eq!(reader.duration(&["timeout"]), expected, "{text}");
        }
    }
}
