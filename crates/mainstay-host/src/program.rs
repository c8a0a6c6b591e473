//! Finds the program of a command before it is started, so that a mistake is named and not guessed from an exit code.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Why a program cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ProgramError {
    #[error("the command is empty")]
    Empty,
    #[error("its working directory `{0}` does not exist")]
    NoDirectory(String),
    #[error("there is no program `{program}` in the directory `{dir}`")]
    NotInDirectory { program: String, dir: String },
    #[error("there is no program `{program}` in the directories of PATH ({path})")]
    NotInPath { program: String, path: String },
    #[error("`{0}` is a directory, not a program")]
    Directory(String),
    #[error("`{0}` is not executable: try `chmod +x {0}`")]
    NotExecutable(String),
    #[error("`{0}` cannot be run: {1}")]
    Refused(String, String),
}

/// Checks that the operating system will find `program` from `dir`, as execvp(3) does. `env` is what is added to
/// Mainstay's own variables.
pub(crate) fn check(program: &str, dir: &Path, env: &[(String, String)]) -> Result<(), ProgramError> {
    let own = std::env::var_os("PATH");
    let added = env.iter().rev().find(|(name, _)| name == "PATH");
    check_with(
        program,
        dir,
        added.map(|(_, path)| OsStr::new(path)).or(own.as_deref()),
    )
}

fn check_with(program: &str, dir: &Path, path: Option<&OsStr>) -> Result<(), ProgramError> {
    if program.is_empty() {
        return Err(ProgramError::Empty);
    }
    if !dir.is_dir() {
        return Err(ProgramError::NoDirectory(dir.display().to_string()));
    }
    if program.contains('/') {
        return check_file(&dir.join(program), program).unwrap_or_else(|| {
            Err(ProgramError::NotInDirectory {
                program: program.to_owned(),
                dir: dir.display().to_string(),
            })
        });
    }
    // What execvp searches when there is no PATH (glibc: confstr(_CS_PATH)).
    let path = path.unwrap_or(OsStr::new("/bin:/usr/bin"));
    let mut nearly = None;
    for entry in std::env::split_paths(path) {
        match check_file(&dir.join(entry).join(program), program) {
            Some(Ok(())) => return Ok(()),
            Some(Err(error @ ProgramError::NotExecutable(_))) => nearly = nearly.or(Some(error)),
            // As execvp: a directory of that name is passed over.
            Some(Err(_)) | None => {}
        }
    }
    Err(nearly.unwrap_or_else(|| ProgramError::NotInPath {
        program: program.to_owned(),
        path: path.to_string_lossy().into_owned(),
    }))
}

/// `None` when there is no such file.
fn check_file(file: &Path, program: &str) -> Option<Result<(), ProgramError>> {
    let metadata = match fs::metadata(file) {
        Ok(metadata) => metadata,
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return None;
        }
        Err(error) => return Some(Err(ProgramError::Refused(program.to_owned(), error.to_string()))),
    };
    let shown = || file.display().to_string();
    Some(if metadata.is_dir() {
        Err(ProgramError::Directory(shown()))
    } else if metadata.permissions().mode() & 0o111 == 0 {
        Err(ProgramError::NotExecutable(shown()))
    } else {
        Ok(())
    })
}

/// What the kernel meant by refusing a program that [`check`] had found.
pub(crate) fn explain(program: &str, error: &io::Error) -> ProgramError {
    let reason = match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
        Some(rustix::io::Errno::NOENT) => {
            "its interpreter does not exist: see the first line of the script, or the loader the binary was \
             linked for"
                .to_owned()
        }
        Some(rustix::io::Errno::NOEXEC) => {
            "it is neither a binary for this machine nor a script with `#!` in its first line".to_owned()
        }
        _ => error.to_string(),
    };
    ProgramError::Refused(program.to_owned(), reason)
}

/// Whether the same program may be accepted a moment later: no memory, no process left, still being written.
pub(crate) fn may_pass(error: &io::Error) -> bool {
    use rustix::io::Errno;
    let errno = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        errno,
        Some(Errno::AGAIN | Errno::NOMEM | Errno::TXTBSY | Errno::MFILE | Errno::NFILE | Errno::IO)
    )
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::OpenOptionsExt as _;

    use super::*;

    #[test]
    fn mistakes_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let shown = dir.path().display().to_string();
        fs::create_dir(dir.path().join("folder")).unwrap();
        fs::write(dir.path().join("plain"), "").unwrap();
        fs::OpenOptions::new()
            .create(true)
            .write(true)
            .truncate(true)
            .mode(0o755)
            .open(dir.path().join("good"))
            .unwrap();
        let path = dir.path().as_os_str();
        let checked =
            |program| check_with(program, dir.path(), Some(path)).map_err(|error| error.to_string());

        assert_eq!(checked("good"), Ok(()));
        assert_eq!(checked("./good"), Ok(()));
        let cases = [
            ("", "the command is empty".to_owned()),
            (
                "./gone",
                format!("there is no program `./gone` in the directory `{shown}`"),
            ),
            (
                "gone",
                format!("there is no program `gone` in the directories of PATH ({shown})"),
            ),
            (
                "./folder",
                format!("`{shown}/./folder` is a directory, not a program"),
            ),
            (
                "plain",
                format!("`{shown}/plain` is not executable: try `chmod +x {shown}/plain`"),
            ),
        ];
        for (program, message) in cases {
            assert_eq!(checked(program), Err(message), "{program}");
        }
        assert!(check_with("sh", &dir.path().join("gone"), None).is_err());
        assert_eq!(check_with("sh", dir.path(), None), Ok(()));
    }
}
