//! Files with environment variables, in the syntax of dotenv.

use super::interpolate::interpolate;

/// A line, counted from 1, and what is wrong with it.
pub(crate) type Problem = (u32, String);

/// Reads lines of the form `NAME=value`. `#` starts a comment at the beginning of a line and after a blank; `export` is
/// allowed; `'…'` is taken as it stands, `"…"` knows `\n`, `\t`, `\"`, `\\`; outside of `'…'`, `${NAME}` is replaced by
/// what `lookup` or an earlier line says.
///
/// # Errors
/// The line and what is wrong with it, for every line.
pub(crate) fn parse(
    text: &str,
    lookup: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<(String, String)>, Vec<Problem>> {
    let mut variables: Vec<(String, String)> = Vec::new();
    let mut problems = Vec::new();
    for (index, line) in text.strip_prefix('\u{feff}').unwrap_or(text).lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let earlier = |name: &str| {
            let earlier = variables.iter().rev().find(|(known, _)| known == name);
            lookup(name).or_else(|| earlier.map(|(_, value)| value.clone()))
        };
        match variable(line, &earlier) {
            Ok(variable) => variables.push(variable),
            Err(problem) => problems.push((index as u32 + 1, problem)),
        }
    }
    if problems.is_empty() {
        Ok(variables)
    } else {
        Err(problems)
    }
}

fn variable(line: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<(String, String), String> {
    let line = line.strip_prefix("export ").unwrap_or(line).trim_start();
    let (name, value) = line
        .split_once('=')
        .ok_or_else(|| "no `=`; write NAME=value".to_owned())?;
    let name = name.trim_end();
    if name.is_empty() || name.contains(char::is_whitespace) {
        return Err(format!("`{name}` is not the name of a variable"));
    }
    let value = value.trim_start();
    let complete = |text: &str| interpolate(text, lookup).map_err(|problem| problem.to_string());
    let value = match value.chars().next() {
        Some('\'') => {
            let (inside, after) = enclosed(value, '\'')?;
            only_comment(after)?;
            inside.to_owned()
        }
        Some('"') => {
            let (inside, after) = enclosed(value, '"')?;
            only_comment(after)?;
            complete(&unescape(inside))?
        }
        _ => {
            let end = value
                .find(" #")
                .or_else(|| value.find("\t#"))
                .unwrap_or(value.len());
            complete(value.get(..end).unwrap_or_default().trim_end())?
        }
    };
    Ok((name.to_owned(), value))
}

/// Splits `"inside" after` at the closing quote.
fn enclosed(value: &str, quote: char) -> Result<(&str, &str), String> {
    let mut escaped = false;
    for (index, character) in value.char_indices().skip(1) {
        if character == quote && !escaped {
            let inside = value.get(1..index).unwrap_or_default();
            return Ok((inside, value.get(index + 1..).unwrap_or_default()));
        }
        escaped = quote == '"' && character == '\\' && !escaped;
    }
    Err(format!("the quote {quote} is not closed"))
}

fn only_comment(after: &str) -> Result<(), String> {
    let after = after.trim();
    if after.is_empty() || after.starts_with('#') {
        Ok(())
    } else {
        Err(format!("`{after}` follows the closing quote"))
    }
}

fn unescape(inside: &str) -> String {
    let mut text = String::with_capacity(inside.len());
    let mut characters = inside.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            text.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some(next @ ('"' | '\\')) => text.push(next),
            Some(next) => text.extend(['\\', next]),
            None => text.push('\\'),
        }
    }
    text
}
