//! What names a store on the command line and in the journal. Never a secret: everybody on this machine sees the arguments of a
//! command.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use crate::components::{EMBEDDED, spells_out_password};
use crate::manifest::interpolate;

/// A file with a URL.
const FILE: &str = "file:";

/// A name of a store as it is kept: the name of a variable alone becomes `${NAME}`.
pub(super) fn normal(reference: &str) -> Result<String, String> {
    let text = reference.trim();
    if spells_out_password(text) {
        return Err(
            "a password is not given on the command line, where everybody on this machine can see it (ps): put the URL \
             into a variable of the environment of `mainstay run` and name that, as in --to '${DATABASE_URL}', or into a \
             file that only you can read, as in --to file:database.url"
                .to_owned(),
        );
    }
    let is_variable = text
        .chars()
        .all(|letter| letter.is_ascii_uppercase() || letter.is_ascii_digit() || letter == '_');
    if is_variable && text.starts_with(|letter: char| letter.is_ascii_uppercase() || letter == '_') {
        return Ok(format!("${{{text}}}"));
    }
    Ok(text.to_owned())
}

/// What stands in a manifest for this name.
pub(crate) fn in_manifest(reference: &str) -> &str {
    if reference.starts_with(FILE) || reference.is_empty() {
        "${DATABASE_URL}"
    } else {
        reference
    }
}

/// What a name stands for: `embedded`, or a URL, which may hold a password.
pub(super) fn resolve(reference: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    if reference == EMBEDDED {
        return Ok(reference.to_owned());
    }
    if let Some(path) = reference.strip_prefix(FILE) {
        return read(Path::new(path));
    }
    interpolate(reference, lookup).map_err(|problem| {
        format!(
            "{problem}: set it in the environment of `mainstay run`, or write the URL into a file that only you can read, \
             and say --to file:database.url"
        )
    })
}

fn read(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let failed = |error: std::io::Error| format!("cannot read {shown}: {error}");
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        return Err(format!(
            "other users can read {shown}, which holds a URL: close it with `chmod 600 {shown}`"
        ));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn names_of_variables_are_enough_and_passwords_are_refused() {
        for (given, kept) in [
            ("embedded", "embedded"),
            ("DATABASE_URL", "${DATABASE_URL}"),
            ("${DATABASE_URL}", "${DATABASE_URL}"),
            ("postgres://me@db/x", "postgres://me@db/x"),
            ("file:/etc/shop.url", "file:/etc/shop.url"),
        ] {
            assert_eq!(normal(given).expect("a name"), kept);
        }
        let refused = normal("postgres://me:s3cret@db/x").expect_err("a password");
        assert!(
            !refused.contains("s3cret") && refused.contains("--to"),
            "{refused}"
        );
    }

    #[test]
    fn a_name_stands_for_a_url() {
        let lookup = |name: &str| (name == "DATABASE_URL").then(|| "postgres://me:s3cret@db/x".to_owned());
        assert_eq!(
            resolve("${DATABASE_URL}", &lookup).expect("a URL"),
            "postgres://me:s3cret@db/x"
        );
        let unset = resolve("${OTHER}", &lookup).expect_err("not set");
        assert!(unset.contains("`OTHER` is not set"), "{unset}");

        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("url");
        fs::write(&path, "postgres://me:s3cret@db/x\n").expect("a file");
        let reference = format!("file:{}", path.display());
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("permissions");
        let refused = resolve(&reference, &lookup).expect_err("readable by others");
        assert!(
            refused.contains("chmod 600") && !refused.contains("s3cret"),
            "{refused}"
        );
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("permissions");
        assert_eq!(
            resolve(&reference, &lookup).expect("a URL"),
            "postgres://me:s3cret@db/x"
        );
    }
}
