//! What the fuzz targets in `fuzz/` call: private parsers together with what must hold for every input.

use crate::diagnostic::Diagnostics;
use crate::manifest;
use crate::resources::Resources;

/// Reads the text of a manifest and applies every rule that needs nothing else.
///
/// # Panics
/// When something does not hold that must.
pub fn manifest(text: &str) {
    let (parsed, mut diagnostics) = manifest::parse(text, "mainstay.yaml");
    if let Some(parsed) = &parsed {
        diagnostics.extend(manifest::rules(parsed));
    } else {
        assert!(
            diagnostics.has_errors(),
            "nothing was read and nobody was told why"
        );
    }
    assert_told_well(&diagnostics, text);
}

/// Reads the text of a Dapr resource file.
///
/// # Panics
/// When something does not hold that must.
pub fn resources(text: &str) {
    let mut resources = Resources::default();
    let mut diagnostics = Diagnostics::default();
    let environment = |name: &str| (name == "SET").then(|| "value".to_owned());
    resources.add(text, "resource.yaml", &environment, &mut diagnostics);
    assert_told_well(&diagnostics, text);
}

/// Each mistake is in the file, says something, and can be shown in both forms.
fn assert_told_well(diagnostics: &Diagnostics, text: &str) {
    // A mistake at the end of the text may be on the line after the last one.
    let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count() + 1;
    for diagnostic in diagnostics.iter() {
        assert!(
            diagnostic.place.line as usize <= lines,
            "{diagnostic} is after the end"
        );
        assert!(!diagnostic.message.trim().is_empty(), "a mistake without words");
        assert!(!diagnostic.to_string().is_empty());
        assert!(diagnostic.to_json().is_object());
    }
}

#[cfg(test)]
mod tests {
    fn each_seed(target: &str, hold: fn(&str)) {
        let folder = format!("{}/../../fuzz/seeds/{target}", env!("CARGO_MANIFEST_DIR"));
        let seeds: Vec<_> = std::fs::read_dir(folder).unwrap().collect();
        assert!(!seeds.is_empty());
        for seed in seeds {
            hold(&std::fs::read_to_string(seed.unwrap().path()).unwrap());
        }
    }

    #[test]
    fn the_seeds_of_the_manifest_target_hold() {
        each_seed("manifest", super::manifest);
    }

    #[test]
    fn the_seeds_of_the_resources_target_hold() {
        each_seed("resources", super::resources);
    }
}
