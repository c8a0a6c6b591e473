//! `mainstay schema`.

use clap::Args as ClapArgs;

use crate::client::print;
use crate::failure::{Failure, Outcome};
use crate::manifest;

/// Print the JSON schema of the manifest, for editors
///
/// An editor with a YAML language server checks and completes a manifest that begins with the line
/// `# yaml-language-server: $schema=mainstay.schema.json`.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Args {}

/// Prints the schema.
pub(crate) fn run(_: &Args) -> Outcome {
    print(&text()?).map(|()| 0)
}

/// The schema as it is committed.
fn text() -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(manifest::schema());
    text.map(|text| text + "\n")
        .map_err(|error| Failure::refused(format!("cannot write the schema: {error}")))
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;

    use super::*;

    /// `UPDATE_EXPECT=1 cargo test -p mainstay` writes it anew.
    #[test]
    fn the_committed_schema_is_that_of_the_types() {
        expect_file!["../../../schema/mainstay.schema.json"].assert_eq(&text().expect("a schema"));
    }
}
