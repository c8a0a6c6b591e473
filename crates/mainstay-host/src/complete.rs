//! `${NAME}` in commands and variables: what differs from replica to replica is filled in when one starts.

/// Replaces `${NAME}` by the replica's variable of this name; any other `${…}` stays as it is, for the program itself.
pub(crate) fn complete(text: &str, variables: &[(String, String)]) -> String {
    let mut done = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, from)) = rest.split_once("${") {
        done.push_str(before);
        let found = from.split_once('}').and_then(|(name, after)| {
            let mut variables = variables.iter();
            let (_, value) = variables.find(|(known, _)| known == name)?;
            Some((value, after))
        });
        if let Some((value, after)) = found {
            done.push_str(value);
            rest = after;
        } else {
            done.push_str("${");
            rest = from;
        }
    }
    done.push_str(rest);
    done
}

/// [`complete`] for every word of a command.
pub(crate) fn command(words: &[String], variables: &[(String, String)]) -> Vec<String> {
    words.iter().map(|word| complete(word, variables)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_replicas_own_variables_are_filled_in() {
        let variables =
            [("PORT", "80"), ("APP_ID", "web")].map(|(name, value)| (name.to_owned(), value.to_owned()));
        for (text, expected) in [
            ("--port=${PORT}", "--port=80"),
            ("${APP_ID}:${PORT}", "web:80"),
            ("$PORT ${HOME} ${", "$PORT ${HOME} ${"),
            ("${${PORT}}", "${80}"),
            ("", ""),
        ] {
            assert_eq!(complete(text, &variables), expected);
        }
    }
}
