//! Makes the output of apps fit to be merged: colours may stay, nothing may move the cursor or reach the terminal's
//! settings.

use std::borrow::Cow;

/// `text` without control characters and escape sequences; colour sequences stay when `keep_colors`.
pub(crate) fn clean(text: &str, keep_colors: bool) -> Cow<'_, str> {
    if !text.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if next == '\x1b' {
            let length = escape_length(rest);
            let (sequence, tail) = rest.split_at(length);
            if keep_colors && sequence.starts_with("\x1b[") && sequence.ends_with('m') {
                shown.push_str(sequence);
            }
            rest = tail;
        } else {
            if next == '\t' || !next.is_control() {
                shown.push(next);
            }
            rest = rest.split_at(next.len_utf8()).1;
        }
    }
    Cow::Owned(shown)
}

/// Bytes of the escape sequence that `text` begins with (ECMA-48): CSI up to its final byte, OSC and its relatives up to
/// BEL or ST, anything else two characters.
fn escape_length(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '[')) => chars
            .find(|(_, c)| ('@'..='~').contains(c))
            .map_or(text.len(), |(at, _)| at + 1),
        Some((_, ']' | 'P' | 'X' | '^' | '_')) => chars
            .find_map(|(at, c)| match c {
                '\x07' => Some(at + 1),
                '\x1b' => Some((at + 2).min(text.len())),
                _ => None,
            })
            .filter(|end| text.is_char_boundary(*end))
            .unwrap_or(text.len()),
        Some((at, c)) => at + c.len_utf8(),
        None => text.len(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_colors_may_stay() {
        for (text, plain, colored) in [
            ("plain\ttext", "plain\ttext", "plain\ttext"),
            ("\x1b[31mred\x1b[0m", "red", "\x1b[31mred\x1b[0m"),
            ("\x1b[2J\x1b[1;1Hgone", "gone", "gone"),
            ("\x1b]0;title\x07text", "text", "text"),
            ("\x1b]8;;http://x\x1b\\link", "link", "link"),
            ("50%\r100%", "50%100%", "50%100%"),
            ("cut \x1b[3", "cut ", "cut "),
            ("\x1bcü", "ü", "ü"),
            ("bell\x07 null\0", "bell null", "bell null"),
        ] {
            assert_eq!(clean(text, false), plain, "{text:?}");
            assert_eq!(clean(text, true), colored, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn nothing_else_gets_through(text in "[\\x00-\\x7fä\\x1b\\[\\]m]{0,40}") {
            prop_assert!(!clean(&text, false).chars().any(|c| c.is_control() && c != '\t'));
        }
    }
}
