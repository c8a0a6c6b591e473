//! The one table of codes. `docs/errors.md` is written from it.

use std::fmt;

/// A stable code: it is never given to another mistake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code(&'static str);

impl Code {
    /// `M012`.
    pub(crate) const fn as_str(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.0)
    }
}

macro_rules! codes {
    ($($(#[doc = $doc:literal])+ $name:ident = $id:literal, $page:literal;)+) => {
        impl Code {
            $($(#[doc = $doc])+ pub(crate) const $name: Self = Self($id);)+
        }

        /// Every code with its title and what its page says.
        #[cfg(test)]
        pub(super) const CODES: &[(Code, &str, &str)] = &[
            $((Code::$name, concat!($($doc),+), $page),)+
        ];
    };
}

codes! {
    /// A file cannot be read.
    UNREADABLE = "M001", "The file does not exist, may not be read, or is not UTF-8. Give the folder of `mainstay.yaml` to the command, or run it there.";
    /// A file is larger than is reasonable.
    TOO_LARGE = "M002", "A file may have 1 MiB, 100 000 values (aliases expanded) and 64 levels. The bounds keep a broken or hostile file from filling the memory.";
    /// A file is not YAML.
    SYNTAX = "M003", "The message is the YAML parser's; the place is where it gave up, the mistake is there or shortly before: an indentation, a missing quote or bracket.";
    /// A key is written twice.
    DUPLICATE_KEY = "M004", "The same key twice in one mapping. YAML readers disagree on which one holds, so none does.";
    /// The file is empty.
    EMPTY = "M005", "The smallest manifest has one app with a `command`.";
    /// A key is not known.
    UNKNOWN_KEY = "M006", "Keys that mean nothing are refused, because a misspelt key would otherwise be silently without effect. Keys of your own start with `x-` at the top of the file.";
    /// A value is of the wrong type.
    WRONG_TYPE = "M007", "For example a list where a mapping is expected. The message says what is expected.";
    /// A key is missing.
    MISSING_KEY = "M008", "The mapping needs this key.";
    /// A value is not of the expected form.
    WRONG_FORM = "M009", "Durations need a unit (`300ms`, `1m30s`), availabilities a percent sign (`99.9%`), names of apps are 1 to 63 letters, digits, `-` or `_`, replicas are `2` or `2..6`.";
    /// A value is out of its range.
    OUT_OF_RANGE = "M010", "The message gives the range or the allowed words.";
    /// A key of a later version.
    LATER = "M011", "The key is planned, and has no effect in this version. It is refused rather than ignored.";
    /// Two apps want the same port.
    DUPLICATE_PORT = "M012", "Only one process can listen on a port. Without `port` an app gets a free one in `$PORT`.";
    /// Several replicas want the same port.
    PORT_WITH_REPLICAS = "M013", "With more than one replica the port cannot be fixed: leave `port` out and let the app listen on `$PORT`.";
    /// There is no app of this name.
    UNKNOWN_APP = "M014", "`calls`, `needs` and `fallback` name apps of the manifest; `calls` and `fallback` also external services and Dapr HTTPEndpoints.";
    /// Apps wait for each other.
    NEEDS_CYCLE = "M015", "The apps of the cycle would wait for each other for ever. Take one `needs` away; a call at run time does not need one.";
    /// A condition that never comes true.
    NEVER_HOLDS = "M016", "`completed` waits for an app to end with exit code 0; an app that is always restarted never does.";
    /// Two apps take the same requests.
    DUPLICATE_ROUTE = "M017", "A request with this host and path could go to either app.";
    /// A name is used twice or reserved.
    NAME_TAKEN = "M018", "Apps, external services and Dapr HTTPEndpoints share one set of names, because calls name them. `ingress` is the name under which the front door calls.";
    /// An env file cannot be used.
    ENV_FILE = "M019", "Env files have lines of the form `NAME=value`; `#` starts a comment, quotes keep blanks, `export` before the name is allowed.";
    /// A variable is not set.
    UNDEFINED_VARIABLE = "M020", "`${NAME}` is replaced from the environment of Mainstay. Set it, give a default with `${NAME:-default}`, or write `$${NAME}` for the text itself.";
    /// A command cannot be run.
    COMMAND = "M021", "A command is a program with its arguments, without a shell. For pipes, redirections and variables of the shell write `[sh, -c, \"...\"]`.";
    /// Keys that do not go together.
    CONTRADICTION = "M022", "Exactly one of the named keys is expected.";
    /// A resource names a policy that does not exist.
    UNKNOWN_POLICY = "M030", "`targets` of a Dapr Resiliency resource name entries of `policies` in the same file or in another Resiliency file.";
    /// A Dapr setting that this version does not support.
    UNSUPPORTED = "M031", "The setting would change how calls behave, and this version cannot do what it says. It is refused rather than ignored.";
    /// A resource or setting without effect in this version.
    NOT_USED = "M032", "It is valid Dapr and has no effect yet. Nothing fails because of it.";
    /// A setting is overridden by a later one.
    OVERRIDDEN = "M033", "Two Resiliency resources set the same line for the same app. As in Dapr, the last file in the order of names wins.";
    /// There is no component of this type.
    UNKNOWN_COMPONENT = "M034", "The `type` of a Dapr Component names a building block and an engine. With `ignoreErrors: true` the system starts without the component, as in Dapr.";
    /// There is no resource of this name.
    NO_RESOURCE = "M035", "`components` of the manifest and `storeName` of a Dapr Configuration name components, those that are there by default included; `config` of an app names a Dapr Configuration.";
    /// What is stored lies in another store.
    STORE_MOVED = "M040", "`mainstay migrate` moves what is stored from one store to another, and which of them is in use is remembered in the data directory. `store` has to name that one: starting on the other would show old data. The help says which line to write.";
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use expect_test::expect_file;

    use super::*;

    /// `UPDATE_EXPECT=1 cargo test -p mainstay` writes it anew.
    #[test]
    fn the_page_of_errors_is_that_of_the_table() {
        let mut page = "\
# Errors in your files

Every mistake that `mainstay check` or `mainstay run` finds in a manifest, an env file or a Dapr resource file has a
stable code. All of them are told at once, each with its file, line and column, and with a way out where there is one.
Exit code 2 means that there was at least one error; warnings and notes stop nothing.

This page is written from the table in `crates/mainstay/src/diagnostic/code.rs`.
"
        .to_owned();
        for (code, title, text) in CODES {
            write!(page, "\n## {code}\n\n**{}** {text}\n", title.trim()).expect("text");
        }
        expect_file!["../../../../docs/errors.md"].assert_eq(&page);
    }

    #[test]
    fn no_code_is_given_twice() {
        let mut codes: Vec<_> = CODES.iter().map(|(code, ..)| code.as_str()).collect();
        codes.dedup();
        assert_eq!(codes.len(), CODES.len());
        assert!(codes.is_sorted());
    }
}
