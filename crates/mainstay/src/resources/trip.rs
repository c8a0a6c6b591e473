//! The condition that opens a breaker: the part of CEL that such conditions are written in.

use mainstay_policy::breaker::Trip;

/// What [`parse`] reads, for messages.
pub(super) const SUPPORTED: &str = "supported are `consecutiveFailures > 5` (or >=), `totalFailures / requests > 0.5` \
                                    with `requests > 10 &&` before or after it, and `false`";

/// Reads a condition over `requests`, `totalFailures` and `consecutiveFailures`.
///
/// # Errors
/// Everything that [`Trip`] cannot say, in words.
pub(super) fn parse(text: &str) -> Result<Trip, String> {
    let unsupported = || format!("the condition `{}` is not supported", text.trim());
    let tokens = tokens(text).ok_or_else(unsupported)?;
    let parts: Vec<&[Token<'_>]> = tokens.split(|token| *token == Token::And).collect();
    let parts: Option<Vec<Condition>> = parts.into_iter().map(condition).collect();
    match parts.ok_or_else(unsupported)?.as_slice() {
        [Condition::Never] => Ok(Trip::Never),
        [Condition::Consecutive(number)] => Ok(Trip::ConsecutiveFailures(*number)),
        [Condition::Ratio(ratio)] => Ok(Trip::FailureRatio {
            min_calls: 1,
            ratio: *ratio,
        }),
        [Condition::Requests(min_calls), Condition::Ratio(ratio)]
        | [Condition::Ratio(ratio), Condition::Requests(min_calls)] => Ok(Trip::FailureRatio {
            min_calls: *min_calls,
            ratio: *ratio,
        }),
        _ => Err(unsupported()),
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Token<'a> {
    Name(&'a str),
    Number(f64),
    And,
    Greater,
    AtLeast,
    Times,
    Over,
    Open,
    Close,
}

#[derive(Debug, PartialEq)]
enum Condition {
    Never,
    /// More than this many failures in a row.
    Consecutive(u32),
    /// At least this many calls.
    Requests(u32),
    /// More than this share failed.
    Ratio(f64),
}

fn tokens(text: &str) -> Option<Vec<Token<'_>>> {
    const SYMBOLS: [(&str, Token<'_>); 7] = [
        ("&&", Token::And),
        (">=", Token::AtLeast),
        (">", Token::Greater),
        ("*", Token::Times),
        ("/", Token::Over),
        ("(", Token::Open),
        (")", Token::Close),
    ];
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let symbol = SYMBOLS.iter().find(|(symbol, _)| rest.starts_with(symbol));
        let length = if let Some((symbol, token)) = symbol {
            tokens.push(*token);
            symbol.len()
        } else {
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.' && c != '_');
            let word = rest
                .get(..end.unwrap_or(rest.len()))
                .filter(|word| !word.is_empty())?;
            tokens.push(match word.parse::<f64>() {
                Ok(number) if word.starts_with(|first: char| first.is_ascii_digit()) => Token::Number(number),
                _ => Token::Name(word),
            });
            word.len()
        };
        rest = rest.get(length..)?.trim_start();
    }
    Some(tokens)
}

/// One comparison.
fn condition(tokens: &[Token<'_>]) -> Option<Condition> {
    let tokens = match tokens {
        [Token::Name("false")] => return Some(Condition::Never),
        // Parentheses around the whole comparison.
        [Token::Open, inner @ .., Token::Close]
            if inner.contains(&Token::Greater) || inner.contains(&Token::AtLeast) =>
        {
            inner
        }
        other => other,
    };
    let [
        left @ ..,
        operator @ (Token::Greater | Token::AtLeast),
        Token::Number(bound),
    ] = tokens
    else {
        return None;
    };
    let at_least = *operator == Token::AtLeast;
    match left {
        [Token::Name("consecutiveFailures")] => {
            let bound = if at_least {
                whole(*bound)?.checked_sub(1)?
            } else {
                whole(*bound)?
            };
            Some(Condition::Consecutive(bound))
        }
        [Token::Name("requests")] => {
            let bound = if at_least {
                whole(*bound)?
            } else {
                whole(*bound)?.checked_add(1)?
            };
            Some(Condition::Requests(bound))
        }
        quotient => {
            let ratio = bound / factor(quotient)?;
            let ratio = if at_least { ratio.next_down() } else { ratio };
            (0.0..1.0).contains(&ratio).then_some(Condition::Ratio(ratio))
        }
    }
}

fn whole(number: f64) -> Option<u32> {
    (number.fract() == 0.0 && number <= f64::from(u32::MAX)).then_some(number as u32)
}

/// The constant `c` of `c * totalFailures / requests`, however that is put together; `double(…)` means nothing here.
fn factor(tokens: &[Token<'_>]) -> Option<f64> {
    let mut constant = 1.0;
    let (mut failures, mut requests) = (0, 0);
    let mut over = false;
    let mut expect_operand = true;
    let mut tokens = tokens.iter();
    while let Some(token) = tokens.next() {
        match token {
            Token::Times | Token::Over if !expect_operand => over = *token == Token::Over,
            Token::Number(number) if expect_operand => {
                constant = if over {
                    constant / number
                } else {
                    constant * number
                };
            }
            Token::Name(name) if expect_operand => {
                let name = match *name {
                    "double" | "float" => match (tokens.next(), tokens.next(), tokens.next()) {
                        (Some(Token::Open), Some(Token::Name(inner)), Some(Token::Close)) => inner,
                        _ => return None,
                    },
                    plain => plain,
                };
                match (name, over) {
                    ("totalFailures", false) => failures += 1,
                    ("requests", true) => requests += 1,
                    _ => return None,
                }
            }
            _ => return None,
        }
        expect_operand = matches!(token, Token::Times | Token::Over);
    }
    (failures == 1 && requests == 1 && !expect_operand && constant > 0.0).then_some(constant)
}
