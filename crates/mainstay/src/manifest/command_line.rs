//! Splitting a command written as one line.

/// Splits a line into program and arguments as a POSIX shell would, without variables, globs or anything else a shell
/// does: blanks separate, `'…'` keeps everything, `"…"` keeps everything but `\"` and `\\`, `\` keeps the next character.
///
/// # Errors
/// A quote that is not closed, an operator that only a shell understands, nothing at all.
pub(crate) fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match character {
            '\'' | '"' => quoted(character, &mut characters, word.get_or_insert_default())?,
            '\\' => match characters.next() {
                Some(next) => word.get_or_insert_default().push(next),
                None => return Err("it ends with a `\\`".to_owned()),
            },
            '|' | '&' | ';' | '<' | '>' | '`' | '\n' => {
                let shown = if character == '\n' {
                    "a line break".to_owned()
                } else {
                    format!("`{character}`")
                };
                return Err(format!("{shown} means something only to a shell"));
            }
            blank if blank.is_whitespace() => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    if words.is_empty() {
        Err("it is empty".to_owned())
    } else {
        Ok(words)
    }
}

fn quoted(quote: char, characters: &mut std::str::Chars<'_>, word: &mut String) -> Result<(), String> {
    while let Some(character) = characters.next() {
        match character {
            end if end == quote => return Ok(()),
            '\\' if quote == '"' => match characters.next() {
                Some(next @ ('"' | '\\')) => word.push(next),
                Some(next) => word.extend(['\\', next]),
                None => break,
            },
            other => word.push(other),
        }
    }
    Err(format!("the quote {quote} is not closed"))
}
