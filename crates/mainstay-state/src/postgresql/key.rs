//! Keys as text of the database, which cannot hold every character.

/// Stands before a character that says which one is meant. It is the smallest that the database takes, so that texts have the
/// order of their keys; keys hardly have it.
const ESCAPE: char = '\u{1}';

/// Stand for a NUL, and for the escape itself.
const NUL: char = '\u{1}';
const ITSELF: char = '\u{2}';

/// The text of a key: the key itself, unless it holds a NUL or the escape. Texts have the order of their keys, by bytes.
pub(super) fn encode(key: &str) -> String {
    let mut text = String::with_capacity(key.len());
    for character in key.chars() {
        match character {
            '\0' => text.extend([ESCAPE, NUL]),
            ESCAPE => text.extend([ESCAPE, ITSELF]),
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
                NUL => '\0',
                ITSELF => ESCAPE,
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
        assert_eq!(encode("a\0b\u{1}"), "a\u{1}\u{1}b\u{1}\u{2}");
        assert_eq!(pattern("50%_\\||"), "50\\%\\_\\\\||%");
    }

    #[test]
    fn other_texts_are_no_keys() {
        assert_eq!(decode("a\u{1}"), None);
        assert_eq!(decode("a\u{1}x"), None);
    }

    proptest! {
        #[test]
        fn keys_come_back(key in "[a\0\u{1}\u{2}|]{0,12}") {
            let text = encode(&key);
            prop_assert!(!text.contains('\0'));
            prop_assert_eq!(decode(&text), Some(key));
        }

        #[test]
        fn texts_have_the_order_of_their_keys(one in "[a\0\u{1}\u{2}\u{3}ü]{0,6}", two in "[a\0\u{1}\u{2}\u{3}ü]{0,6}") {
            prop_assert_eq!(encode(&one).cmp(&encode(&two)), one.cmp(&two));
        }
    }
}
