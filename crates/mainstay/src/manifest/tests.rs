//! Reads manifests as a user writes them, and shows what was made of them or what is wrong.

mod archive;
mod content;
mod files;
mod mistakes;
mod properties;

use std::fmt::Write as _;
use std::fs;

use expect_test::Expect;

use super::*;

/// Loads a manifest, and further files, each after a line `==> name`.
pub(crate) fn load_text(input: &str) -> Result<Manifest, Diagnostics> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut parts = input.split("==> ");
    fs::write(
        folder.path().join("mainstay.yaml"),
        parts.next().unwrap_or_default(),
    )
    .expect("a file");
    for part in parts {
        let (name, text) = part.split_once('\n').expect("a name and a text");
        let path = folder.path().join(name.trim());
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }
    let environment = |name: &str| (name == "HOME_TOWN").then(|| "Pisa".to_owned());
    load_with(folder.path(), &environment)
}

/// Loads a manifest and shows what it says, or every mistake.
#[expect(
    clippy::needless_pass_by_value,
    reason = "`expect!` reads best at the place of the call"
)]
fn check(input: &str, expect: Expect) {
    let shown = match load_text(input) {
        Err(diagnostics) => diagnostics.to_string(),
        Ok(manifest) => {
            let mut shown = String::new();
            for app in &manifest.apps {
                writeln!(shown, "{} {:?} {:?}", app.id(), app.spec.command, app.spec.env).expect("text");
            }
            for external in &manifest.externals {
                writeln!(shown, "{} at {}", external.name, external.url).expect("text");
            }
            write!(shown, "{}", manifest.notices).expect("text");
            shown
        }
    };
    expect.assert_eq(&shown);
}
