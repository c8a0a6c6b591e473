//! No input makes it panic.

use super::*;

proptest::proptest! {
    #[test]
    fn no_text_panics(text in ".{0,300}") {
        let _ = parse(&text, "mainstay.yaml");
    }

    #[test]
    fn no_yaml_panics(text in "(apps:\n)?([ ]{0,8}(-|a|command|port|sla|calls|needs|&x|\\*x|<<)?(: )?(\\[|\\{|\\]|\\}|'|\"|1|2s|x|\\||>)?\n){0,20}") {
        let (parsed, _) = parse(&text, "mainstay.yaml");
        if let Some(parsed) = parsed {
            let mut diagnostics = rules::check(&parsed, &Resources::default());
            let _ = build::build(&parsed, Resources::default(), Path::new("."), &|_| None, &mut diagnostics);
        }
    }

    #[test]
    fn no_line_panics(text in ".{0,60}") {
        let _ = command_line::split(&text);
        let _ = interpolate::interpolate(&text, &|_| None);
        let _ = env_file::parse(&text, &|_| None);
    }
}
