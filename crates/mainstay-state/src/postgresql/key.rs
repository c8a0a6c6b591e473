//! Keys as text of the database, which cannot hold every character.

/// Stands before a letter that says which character is meant. A character for private use, which keys hardly have.
const ESCAPE: char = '\u{E000}';

/// The text of a key: the key itself, unless it holds a NUL or the escape.
pub(super) fn encode(key: &str) -> String {
    let mut text = String::with_capacity(key.len());
    for character in key.chars() {
        match character {
            '\0' => text.extend([ESCAPE, '0']),
            ESCAPE => text.extend([ESCAPE, 'E']),
            other => text.push(other),
        }
    }
    text
}

/// The key of a text; `None` when it is not one that was written here.
pub(super) fn decode(text: &str) -> Option<String> {
    let mut key = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        key.push(match character {
            ESCAPE => match characters.next()? {
                '0' => '\0',
                'E' => ESCAPE,
                _ => return None,
            },
            other => other,
        });
    }
    Some(key)
}

/// A pattern of `LIKE` for the texts of all keys that begin with `prefix`.
pub(super) fn pattern(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len() + 1);
    for character in encode(prefix).chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn usual_keys_are_their_own_text() {
        assert_eq!(encode("app||ä/b c%_"), "app||ä/b c%_");
        assert_eq!(encode("a\0b\u{E000}"), "a\u{E000}0b\u{E000}E");
        assert_eq!(pattern("50%_\\||"), "50\\%\\_\\\\||%");
    }

    #[test]
    fn other_texts_are_no_keys() {
        assert_eq!(decode("a\u{E000}"), None);
        assert_eq!(decode("a\u{E000}x"), None);
    }

    proptest! {
        #[test]
        fn keys_come_back(key in "[a\0\u{E000}0E|]{0,12}") {
            let text = encode(&key);
            prop_assert!(!text.contains('\0'));
            prop_assert_eq!(decode(&text), Some(key));
        }
    }
}
