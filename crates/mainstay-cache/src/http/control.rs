//! The directives of `cache-control` (RFC 9111, 5.2).

use std::time::Duration;

use ::http::{HeaderMap, HeaderName, header};

/// What a request or an answer says. A directive with names of fields counts as one without: for the whole message.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a directive that is there or not"
)]
pub(crate) struct Control {
    pub(crate) no_store: bool,
    pub(crate) no_cache: bool,
    pub(crate) private: bool,
    /// `must-revalidate` or `proxy-revalidate`, which `s-maxage` implies.
    pub(crate) must_revalidate: bool,
    pub(crate) max_age: Option<Duration>,
    pub(crate) shared_max_age: Option<Duration>,
    pub(crate) stale_if_error: Option<Duration>,
}

impl Control {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut control = Self::default();
        for value in headers.get_all(header::CACHE_CONTROL) {
            for (name, argument) in directives(value.as_bytes()) {
                control.take(name, argument);
            }
        }
        control
    }

    fn take(&mut self, name: &[u8], argument: &[u8]) {
        // Of two that contradict each other, the stricter one holds.
        let shorter = |present: Option<Duration>| {
            let given = seconds(argument);
            Some(present.map_or(given, |present| present.min(given)))
        };
        let is = |directive: &str| name.eq_ignore_ascii_case(directive.as_bytes());
        if is("no-store") {
            self.no_store = true;
        } else if is("no-cache") {
            self.no_cache = true;
        } else if is("private") {
            self.private = true;
        } else if is("must-revalidate") || is("proxy-revalidate") {
            self.must_revalidate = true;
        } else if is("max-age") {
            self.max_age = shorter(self.max_age);
        } else if is("s-maxage") {
            self.shared_max_age = shorter(self.shared_max_age);
            self.must_revalidate = true;
        } else if is("stale-if-error") {
            self.stale_if_error = shorter(self.stale_if_error);
        }
    }
}

/// Names and arguments of a list of directives; a comma in quotes separates nothing.
fn directives(list: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let (mut quoted, mut escaped) = (false, false);
    let is_separator = move |byte: &u8| {
        let was_escaped = std::mem::take(&mut escaped);
        match byte {
            _ if was_escaped => false,
            b'\\' => {
                escaped = quoted;
                false
            }
            b'"' => {
                quoted = !quoted;
                false
            }
            byte => *byte == b',' && !quoted,
        }
    };
    list.split(is_separator).map(|directive| {
        let equals = directive.iter().position(|byte| *byte == b'=');
        let (name, argument) = directive.split_at(equals.unwrap_or(directive.len()));
        (
            name.trim_ascii(),
            argument.get(1..).unwrap_or_default().trim_ascii(),
        )
    })
}

/// Seconds, in quotes or not. What cannot be read is none, which is the strict reading (RFC 9111, 4.2.1).
fn seconds(argument: &[u8]) -> Duration {
    let digits = argument
        .strip_prefix(b"\"")
        .and_then(|rest| rest.strip_suffix(b"\""))
        .unwrap_or(argument);
    let is_number = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(digits).unwrap_or_default().parse().ok();
    match number {
        Some(seconds) if is_number => Duration::from_secs(seconds),
        // Too large for a number is as good as for ever (RFC 9111, 1.2.2).
        None if is_number => Duration::from_secs(u64::from(u32::MAX)),
        _ => Duration::ZERO,
    }
}

/// A header whose value is a number of seconds; none where there is no such header.
pub(crate) fn seconds_of(headers: &HeaderMap, name: HeaderName) -> Option<Duration> {
    headers.get(name).map(|value| seconds(value.as_bytes()))
}

#[cfg(test)]
mod tests {
    use ::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn control(values: &[&str]) -> Control {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::CACHE_CONTROL, HeaderValue::from_str(value).unwrap());
        }
        Control::of(&headers)
    }

    #[test]
    fn directives_are_read() {
        let read = control(&["No-Store, max-age=60", "MAX-AGE=\"30\" , private=\"a, no-cache\""]);
        assert!(read.no_store && read.private && !read.no_cache);
        assert_eq!(read.max_age, Some(Duration::from_secs(30)));
        let read = control(&["s-maxage=5,stale-if-error=7,,foo=\"\\\",no-store\""]);
        assert_eq!(read.shared_max_age, Some(Duration::from_secs(5)));
        assert_eq!(read.stale_if_error, Some(Duration::from_secs(7)));
        assert!(read.must_revalidate && !read.no_store);
    }

    #[test]
    fn what_is_no_number_is_none() {
        for text in [
            "max-age",
            "max-age=",
            "max-age=-1",
            "max-age=1x",
            "max-age=+5",
            "max-age=\"5",
        ] {
            assert_eq!(control(&[text]).max_age, Some(Duration::ZERO), "{text}");
        }
        let huge = control(&["max-age=99999999999999999999999"]).max_age;
        assert!(huge > Some(Duration::from_secs(1_000_000)));
    }

    proptest! {
        #[test]
        fn any_value_is_taken(bytes: Vec<u8>) {
            if let Ok(value) = HeaderValue::from_bytes(&bytes) {
                let mut headers = HeaderMap::new();
                headers.append(header::CACHE_CONTROL, value);
                let _ = Control::of(&headers);
            }
        }
    }
}
