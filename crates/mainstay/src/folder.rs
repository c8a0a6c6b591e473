//! Which folder a command is about: `--dir` with every command, and the only argument of those that take no other.

use std::path::{Path, PathBuf};

use clap::Args;

/// The folder of the manifest, for commands that take no other argument.
#[derive(Clone, Debug, Args)]
pub(crate) struct Folder {
    /// Folder of the manifest, or the manifest itself; the current folder by default
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
    /// The same; all commands know this form
    #[arg(long, value_name = "DIR", conflicts_with = "folder")]
    dir: Option<PathBuf>,
}

impl Folder {
    /// The folder or the manifest that is meant.
    pub(crate) fn path(&self) -> &Path {
        let given = self.folder.as_deref().or(self.dir.as_deref());
        given.unwrap_or(Path::new("."))
    }
}

/// How other commands are told the folder `path`: ` --dir examples/shop`, or nothing for the current one.
pub(crate) fn flag(path: &Path) -> String {
    if path == Path::new(".") {
        String::new()
    } else {
        format!(" --dir {}", word(path))
    }
}

/// A path as one word of a shell.
pub(crate) fn word(path: &Path) -> String {
    let text = path.display().to_string();
    let is_plain =
        |byte: u8| byte.is_ascii_alphanumeric() || !byte.is_ascii() || b"/._-+:@%,".contains(&byte);
    if !text.is_empty() && text.bytes().all(is_plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_one_word_for_a_shell() {
        for (path, expected) in [
            (".", ""),
            ("examples/shop", " --dir examples/shop"),
            ("my shop", " --dir 'my shop'"),
            ("it's", r" --dir 'it'\''s'"),
            ("$HOME", " --dir '$HOME'"),
        ] {
            assert_eq!(flag(Path::new(path)), expected);
        }
    }
}
