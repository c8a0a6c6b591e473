//! Paths and queries of the control API.

use std::fmt::Write as _;

/// Text as one segment of a path, or as a value of a query: everything but what RFC 3986 calls unreserved is escaped.
pub(super) fn segment(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            escaped.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(escaped, "%{byte:02X}");
        }
    }
    escaped
}

/// A path with its parameters.
pub(super) struct Path {
    text: String,
    separator: char,
}

impl Path {
    pub(super) fn new(path: String) -> Self {
        Self {
            text: path,
            separator: '?',
        }
    }

    /// With one more parameter, when it has a value.
    pub(super) fn with(mut self, name: &str, value: Option<impl AsRef<str>>) -> Self {
        if let Some(value) = value {
            let _ = write!(
                self.text,
                "{}{}={}",
                self.separator,
                segment(name),
                segment(value.as_ref())
            );
            self.separator = '&';
        }
        self
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_could_be_misread_is_escaped() {
        assert_eq!(
            segment("orders||k/1 ü?&=+%"),
            "orders%7C%7Ck%2F1%20%C3%BC%3F%26%3D%2B%25"
        );
        assert_eq!(segment("plain-._~9"), "plain-._~9");
        let path = Path::new("/api/x".to_owned())
            .with("a", Some("1"))
            .with("b", None::<&str>)
            .with("c", Some("x&y"));
        assert_eq!(path.text(), "/api/x?a=1&c=x%26y");
    }
}
