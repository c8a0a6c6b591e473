//! The promise of the README: each of the three examples is small.

use std::path::Path;
use std::{fs, io};

/// Lines of code of one example in all its languages, without blank lines and comments.
fn lines_of_code(example: &str) -> io::Result<usize> {
    let is_code =
        |line: &str| !line.is_empty() && !["//", "#!", "\"\"\""].iter().any(|mark| line.starts_with(mark));
    let mut lines = 0;
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(example))? {
        let path = entry?.path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if matches!(extension, Some("rs" | "py" | "js")) {
            lines += fs::read_to_string(path)?
                .lines()
                .filter(|line| is_code(line.trim()))
                .count();
        }
    }
    Ok(lines)
}

#[test]
fn each_example_is_under_a_hundred_lines() -> io::Result<()> {
    for example in ["client-server", "multitier", "microservices"] {
        let lines = lines_of_code(example)?;
        assert!((20..100).contains(&lines), "{example} has {lines} lines of code");
    }
    Ok(())
}
