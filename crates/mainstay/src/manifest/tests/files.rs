//! Files that are no manifest, or not one that is read.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use expect_test::expect;

use super::{check, load};

#[test]
fn files_that_are_no_manifest() {
    check(
        "",
        expect![[r#"
        mainstay.yaml: error M005: the file is empty
            the smallest manifest is:  apps: { hello: { command: [./hello] } }
    "#]],
    );
    check(
        "# only a comment\n",
        expect![[r#"
        mainstay.yaml: error M005: the file is empty
            the smallest manifest is:  apps: { hello: { command: [./hello] } }
    "#]],
    );
    check(
        "- a\n- list\n",
        expect![[r#"
            mainstay.yaml:1:1: error M007: the file must be a mapping, not a list
        "#]],
    );
    check(
        "just text",
        expect![[r#"
            mainstay.yaml:1:1: error M007: the file must be a mapping, not the text `just text`
        "#]],
    );
    check(
        "apps: [\n",
        expect![[r#"
        mainstay.yaml:2:1: error M003: while parsing a node, did not find expected node content
    "#]],
    );
    check(
        "apps:\n\tx: 1\n",
        expect![[r#"
        mainstay.yaml:2:2: error M003: tabs disallowed within this context (block indentation)
    "#]],
    );
    check(
        "apps: { a: { command: x } }\n---\napps: {}\n",
        expect![[r#"
        mainstay.yaml:3:1: error M003: a manifest is one YAML document; a second one starts here
    "#]],
    );
    check(
        "apps: *nothing\n",
        expect![[r#"
        mainstay.yaml:1:7: error M003: while parsing node, found unknown anchor
    "#]],
    );
    check(
        "{{a}: b}: c\n",
        expect![[r#"
        mainstay.yaml:1:1: error M007: a key must be a word, not a list, a mapping or nothing
        mainstay.yaml:1:1: error M008: the file needs the key `apps`
        mainstay.yaml:1:2: error M007: a key must be a word, not a list, a mapping or nothing
    "#]],
    );
}

#[test]
fn files_that_are_too_much() {
    let deep = format!("apps: {}{}", "[".repeat(1000), "]".repeat(1000));
    check(
        &deep,
        expect![[r#"
        mainstay.yaml:1:262: error M003: recursion limit exceeded
    "#]],
    );
    // Each line is ten of the line before: the last would be a thousand million values.
    let mut bomb = "a0: &a0 x\n".to_owned();
    for level in 1..10 {
        let many = vec![format!("*a{}", level - 1); 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{many}]").expect("text");
    }
    check(
        &bomb,
        expect![[r#"
        mainstay.yaml:6:40: error M002: more than 100000 values, with aliases expanded
    "#]],
    );
    check(
        &"#".repeat(2 * 1024 * 1024),
        expect![[r#"
        mainstay.yaml: error M002: the file is larger than 1 MiB
    "#]],
    );
}

#[test]
fn a_manifest_must_be_there_once_and_be_text() {
    let folder = tempfile::tempdir().expect("a folder");
    let shown = |dir: &Path| match load(dir) {
        Ok(_) => "good".to_owned(),
        Err(diagnostics) => diagnostics
            .to_string()
            .replace(&folder.path().display().to_string(), "DIR"),
    };
    expect![[r#"
        DIR: error M001: there is no mainstay.yaml in DIR
            run the command in the folder of the manifest, or name the folder with --dir
    "#]]
    .assert_eq(&shown(folder.path()));
    fs::write(folder.path().join("mainstay.yml"), b"apps:\n  \xff").expect("a file");
    expect![[r#"
        mainstay.yml: error M001: it is not UTF-8 text, first on line 2
    "#]]
    .assert_eq(&shown(folder.path()));
    fs::write(folder.path().join("mainstay.yaml"), "apps: { a: { command: x } }").expect("a file");
    expect![[r#"
        DIR: error M001: there is a mainstay.yaml and a mainstay.yml
            keep one of the two
    "#]]
    .assert_eq(&shown(folder.path()));
    assert_eq!(shown(&folder.path().join("mainstay.yaml")), "good");
}
