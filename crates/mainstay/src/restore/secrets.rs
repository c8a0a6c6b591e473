//! The key of secrets comes back beside the one that is there.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use mainstay_backup::format::File;

use crate::components::SECRETS_KEY_FILE;
use crate::data_dir::Lease;
use crate::failure::Failure;

/// Puts the files of a backup into the data directory, before the store that needs them.
pub(super) fn put(files: &[File], lease: &Lease) -> Result<(), Failure> {
    for file in files {
        // A later version may keep more; what this one does not know, it does not need.
        if file.name != SECRETS_KEY_FILE {
            continue;
        }
        let path = lease.path().join(SECRETS_KEY_FILE);
        let failed = |error: io::Error| Failure::refused(format!("cannot write {}: {error}", path.display()));
        let present = read(&path).map_err(failed)?;
        let merged = merged(&String::from_utf8_lossy(&file.content), &present);
        if merged != present {
            lease
                .replace(SECRETS_KEY_FILE, merged.as_bytes())
                .map_err(failed)?;
        }
    }
    Ok(())
}

fn read(path: &Path) -> io::Result<String> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        result => result,
    }
}

/// The keys of the backup, then those that were there: the first one seals, all of them open. So neither what comes back nor
/// what it replaces is locked for good.
fn merged(restored: &str, present: &str) -> String {
    let keys = |text: &str| {
        let lines = text.split(['\n', ',']).map(str::trim);
        let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines.map(str::to_owned).collect::<Vec<_>>()
    };
    let (restored_keys, present_keys) = (keys(restored), keys(present));
    if restored_keys == present_keys {
        return present.to_owned();
    }
    let known: BTreeSet<&String> = restored_keys.iter().collect();
    let others: Vec<&String> = present_keys.iter().filter(|key| !known.contains(key)).collect();
    let mut text = format!("{}\n", restored.trim_end());
    if !others.is_empty() {
        text.push_str("# From before a restore:\n");
    }
    for other in others {
        text.push_str(other);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_added_and_never_lost() {
        assert_eq!(merged("aa\n", ""), "aa\n");
        assert_eq!(merged("aa\n", "# mine\naa"), "# mine\naa");
        assert_eq!(
            merged("aa\nbb", "bb\ncc\n"),
            "aa\nbb\n# From before a restore:\ncc\n"
        );
    }
}
