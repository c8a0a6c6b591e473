//! What the fuzz target in `fuzz/` calls: a private parser together with what must hold for every input.

#![expect(clippy::expect_used, reason = "a broken promise has to end the run")]

use crate::connection_string::ConnectionString;

/// Reads a connection string.
///
/// # Panics
/// When what it is translated to means something else.
pub fn connection(input: &str) {
    let Ok(read) = ConnectionString::parse(input) else {
        return;
    };
    let again = ConnectionString::parse(&read.keywords()).expect("our own can be read");
    assert_eq!(again, read);
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_seeds_of_the_connection_target_hold() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../fuzz/seeds/connection");
        let seeds: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
        assert!(!seeds.is_empty());
        for seed in seeds {
            super::connection(&std::fs::read_to_string(seed.unwrap().path()).unwrap());
        }
    }
}
