//! Paths: percent-decoding, cleaning and encoding, byte for byte as Go's `net/url` and `path` do it, because Dapr's
//! routes are defined in their terms. Pure functions over bytes: a decoded path need not be UTF-8.

use std::borrow::Cow;
use std::fmt::Write as _;

/// A `%` that is not followed by two hexadecimal digits; the text is the offending part.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("invalid URL escape {0}")]
pub(crate) struct InvalidEscape(String);

/// What `+` means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plus {
    /// Itself, as in a path.
    Literal,
    /// A space, as in a query.
    Space,
}

/// Takes out percent escapes.
///
/// # Errors
/// When an escape is malformed.
pub(crate) fn decode(text: &[u8], plus: Plus) -> Result<Cow<'_, [u8]>, InvalidEscape> {
    let special = |byte: &u8| *byte == b'%' || (*byte == b'+' && plus == Plus::Space);
    if !text.iter().any(special) {
        return Ok(Cow::Borrowed(text));
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'%' => {
                let (high, low, tail) = match tail {
                    [high, low, tail @ ..] => (hex_value(*high), hex_value(*low), tail),
                    _ => (None, None, tail),
                };
                let (Some(high), Some(low)) = (high, low) else {
                    let shown: Vec<u8> = std::iter::once(b'%')
                        .chain(rest.iter().copied().take(2))
                        .collect();
                    return Err(InvalidEscape(quote(&shown)));
                };
                decoded.push(high << 4 | low);
                rest = tail;
            }
            b'+' if plus == Plus::Space => decoded.push(b' '),
            byte => decoded.push(*byte),
        }
    }
    Ok(Cow::Owned(decoded))
}

fn hex_value(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

/// Go's `path.Clean` of a rooted path: no `//`, no `.` and `..` segments, no slash at the end, `/` in front.
pub(crate) fn clean(path: &[u8]) -> Cow<'_, [u8]> {
    if is_clean(path) {
        return Cow::Borrowed(path);
    }
    let mut cleaned = Vec::with_capacity(path.len() + 1);
    for segment in path.split(|byte| *byte == b'/') {
        match segment {
            b"" | b"." => {}
            b".." => {
                let parent = cleaned.iter().rposition(|byte| *byte == b'/');
                cleaned.truncate(parent.unwrap_or_default());
            }
            segment => {
                cleaned.push(b'/');
                cleaned.extend_from_slice(segment);
            }
        }
    }
    if cleaned.is_empty() {
        cleaned.push(b'/');
    }
    Cow::Owned(cleaned)
}

fn is_clean(path: &[u8]) -> bool {
    path.strip_prefix(b"/").is_some_and(is_clean_below_root)
}

fn is_clean_below_root(path: &[u8]) -> bool {
    let dirty = |segment: &[u8]| matches!(segment, b"" | b"." | b"..");
    path.is_empty() || !path.split(|byte| *byte == b'/').any(dirty)
}

/// A decoded path below the root, cleaned and written so that it can stand in a request line.
pub(crate) fn rooted(path: &[u8]) -> String {
    let plain = path.iter().copied().all(is_path_byte) && is_clean_below_root(path);
    match str::from_utf8(path) {
        Ok(path) if plain => ["/", path].concat(),
        _ => encode(&clean(&[b"/", path].concat())),
    }
}

/// Writes a decoded path so that it can stand in a request line: what RFC 3986 allows in a path stays, the rest becomes
/// percent escapes.
fn encode(path: &[u8]) -> String {
    let mut encoded = String::with_capacity(path.len());
    for byte in path {
        if is_path_byte(*byte) {
            encoded.push(char::from(*byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

fn is_path_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/".contains(&byte)
}

/// Go's `%q`: the text in double quotes with what cannot be printed escaped.
pub(crate) fn quote(text: &[u8]) -> String {
    let mut quoted = String::from('"');
    for chunk in text.utf8_chunks() {
        for character in chunk.valid().chars() {
            quote_character(&mut quoted, character);
        }
        for byte in chunk.invalid() {
            let _ = write!(quoted, "\\x{byte:02x}");
        }
    }
    quoted.push('"');
    quoted
}

fn quote_character(quoted: &mut String, character: char) {
    let _ = match character {
        '"' | '\\' => write!(quoted, "\\{character}"),
        '\x07' => write!(quoted, "\\a"),
        '\x08' => write!(quoted, "\\b"),
        '\x0c' => write!(quoted, "\\f"),
        '\n' => write!(quoted, "\\n"),
        '\r' => write!(quoted, "\\r"),
        '\t' => write!(quoted, "\\t"),
        '\x0b' => write!(quoted, "\\v"),
        '\0'..='\x1f' | '\x7f' => write!(quoted, "\\x{:02x}", u32::from(character)),
        character => write!(quoted, "{character}"),
    };
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn cleans_as_go_does() {
        for (path, cleaned) in [
            ("", "/"),
            ("/", "/"),
            ("//", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b"),
            ("//a///b//", "/a/b"),
            ("/a/./b/../c", "/a/c"),
            ("/../../a", "/a"),
            ("/a/..", "/"),
            ("/.", "/"),
            ("a/../../b", "/b"),
            ("/...", "/..."),
        ] {
            assert_eq!(clean(path.as_bytes()), cleaned.as_bytes(), "{path}");
        }
    }

    #[test]
    fn decodes_escapes_or_says_which_is_wrong() {
        let path = |text: &str| decode(text.as_bytes(), Plus::Literal).map(Cow::into_owned);
        assert_eq!(path("/a%2Fb+c%20d"), Ok(b"/a/b+c d".to_vec()));
        assert_eq!(decode(b"a+b", Plus::Space).as_deref(), Ok(&b"a b"[..]));
        for (text, shown) in [
            ("%zz", "\"%zz\""),
            ("%", "\"%\""),
            ("a%4", "\"%4\""),
            ("%é", "\"%é\""),
        ] {
            assert_eq!(path(text), Err(InvalidEscape(shown.to_owned())), "{text}");
        }
    }

    #[test]
    fn quotes_as_go_does() {
        assert_eq!(
            quote(b"a\"b\\c\n\x01\x7f\xff\xc3\xa9"),
            r#""a\"b\\c\n\x01\x7f\xffé""#
        );
    }

    proptest! {
        #[test]
        fn cleaning_is_idempotent_and_leaves_no_way_up(path in proptest::collection::vec(prop_oneof![
            Just(b'/'), Just(b'.'), Just(b'a'), any::<u8>()], 0..40)) {
            let cleaned = clean(&path).into_owned();
            prop_assert!(cleaned.starts_with(b"/"));
            prop_assert!(is_clean(&cleaned));
            let again = clean(&cleaned).into_owned();
            prop_assert_eq!(&again, &cleaned);
        }

        #[test]
        fn what_is_encoded_is_decoded(path in proptest::collection::vec(any::<u8>(), 0..40)) {
            let encoded = encode(&path);
            prop_assert!(encoded.is_ascii());
            let decoded = decode(encoded.as_bytes(), Plus::Literal).unwrap().into_owned();
            prop_assert_eq!(decoded, path);
        }

        #[test]
        fn decoding_never_panics(text in proptest::collection::vec(prop_oneof![Just(b'%'), any::<u8>()], 0..40)) {
            let _ = decode(&text, Plus::Space).map(|decoded| quote(&decoded));
        }
    }
}
