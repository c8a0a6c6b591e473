//! Each check finds the fault planted for it, and nothing where there is none.

use serde_json::json;

use super::metadata::Metadata;
use super::rooms::{FENCES, ROOMS};
use super::tree::Tree;
use super::{Finding, documents, graph, leftovers, lints, lock, sizes};

/// `(name, folder, [(dependency, kind)])`.
type Member<'a> = (&'a str, &'a str, &'a [(&'a str, Option<&'a str>)]);

/// A workspace; every dependency is resolved to a package of its name.
fn workspace(members: &[Member<'_>]) -> Metadata {
    let mut packages = Vec::new();
    let mut nodes = Vec::new();
    for (name, folder, dependencies) in members {
        let entries: Vec<_> = dependencies
            .iter()
            .map(|(name, kind)| json!({ "name": name, "kind": kind }))
            .collect();
        packages.push(json!({
            "name": name, "version": "0.1.0", "id": name, "manifest_path": format!("/project/{folder}/Cargo.toml"), "dependencies": entries,
        }));
        let edges: Vec<_> = dependencies
            .iter()
            .map(|(name, kind)| json!({ "pkg": name, "dep_kinds": [{ "kind": kind }] }))
            .collect();
        nodes.push(json!({ "id": name, "deps": edges }));
        for (dependency, _) in *dependencies {
            if !members.iter().any(|(member, _, _)| member == dependency) {
                packages.push(
                    json!({ "name": dependency, "version": "1.0.0", "id": dependency, "manifest_path": "", "dependencies": [] }),
                );
            }
        }
    }
    let ids: Vec<_> = members.iter().map(|(name, _, _)| name).collect();
    let whole = json!({
        "packages": packages, "workspace_members": ids, "workspace_root": "/project", "resolve": { "nodes": nodes },
    });
    serde_json::from_value(whole).unwrap()
}

/// What was found, as lines.
fn lines(findings: &[Finding]) -> Vec<String> {
    findings
        .iter()
        .map(|finding| format!("{}: {}", finding.place, finding.message))
        .collect()
}

#[track_caller]
fn assert_only(findings: &[Finding], place: &str, part: &str) {
    assert_eq!(findings.len(), 1, "{:#?}", lines(findings));
    assert_eq!(findings[0].place, place);
    assert!(
        findings[0].message.contains(part),
        "{} lacks {part}",
        findings[0].message
    );
}

#[test]
fn arrows_of_the_table_point_down() {
    for (row, room) in ROOMS.iter().enumerate() {
        let below: Vec<&str> = ROOMS[row + 1..].iter().map(|room| room.name).collect();
        for used in room.uses.iter().chain(room.tests_use) {
            assert!(
                below.contains(used),
                "{} -> {used} does not point down",
                room.name
            );
        }
    }
}

#[test]
fn an_arrow_of_the_table_is_fine() {
    let metadata = workspace(&[
        (
            "mainstay-mesh",
            "crates/mainstay-mesh",
            &[("mainstay-policy", None), ("rustls", None)],
        ),
        (
            "mainstay-policy",
            "crates/mainstay-policy",
            &[("tokio", Some("dev"))],
        ),
    ]);
    assert_eq!(lines(&graph::check(&metadata)), Vec::<String>::new());
}

#[test]
fn an_arrow_upwards_is_found() {
    let metadata = workspace(&[
        (
            "mainstay-host",
            "crates/mainstay-host",
            &[("mainstay-mesh", None)],
        ),
        ("mainstay-mesh", "crates/mainstay-mesh", &[]),
    ]);
    assert_only(
        &graph::check(&metadata),
        "crates/mainstay-host/Cargo.toml",
        "may not use `mainstay-mesh`",
    );
}

#[test]
fn a_test_may_not_cross_the_table_either() {
    let metadata = workspace(&[
        (
            "mainstay-policy",
            "crates/mainstay-policy",
            &[("mainstay-mesh", Some("dev"))],
        ),
        ("mainstay-mesh", "crates/mainstay-mesh", &[]),
    ]);
    assert_only(
        &graph::check(&metadata),
        "crates/mainstay-policy/Cargo.toml",
        "may not use `mainstay-mesh`",
    );
}

#[test]
fn an_unknown_crate_is_found() {
    let metadata = workspace(&[("mainstay-common", "crates/mainstay-common", &[])]);
    assert_only(
        &graph::check(&metadata),
        "crates/mainstay-common/Cargo.toml",
        "is in no room",
    );
}

#[test]
fn an_example_that_looks_inside_is_found() {
    let metadata = workspace(&[
        (
            "shop",
            "examples/shop",
            &[("mainstay-base", None), ("axum", None)],
        ),
        ("mainstay-base", "crates/mainstay-base", &[]),
    ]);
    assert_only(
        &graph::check(&metadata),
        "examples/shop/Cargo.toml",
        "as a user would",
    );
}

#[test]
fn a_dependency_in_the_wrong_hands_is_found() {
    let metadata = workspace(&[("mainstay-api", "crates/mainstay-api", &[("rustls", None)])]);
    assert_only(
        &graph::check(&metadata),
        "crates/mainstay-api/Cargo.toml",
        "only the mesh opens connections",
    );
}

#[test]
fn a_fence_for_tests_holds_in_tests() {
    let fence = FENCES.iter().find(|fence| !fence.in_tests).unwrap();
    let metadata = workspace(&[(
        "mainstay-mesh",
        "crates/mainstay-mesh",
        &[(fence.dependencies[0], Some("dev"))],
    )]);
    assert_only(
        &graph::check(&metadata),
        "crates/mainstay-mesh/Cargo.toml",
        fence.reason,
    );
}

#[test]
fn a_runtime_behind_another_crate_is_found() {
    let mut metadata = workspace(&[("mainstay-base", "crates/mainstay-base", &[("helper", None)])]);
    let through = json!({ "id": "helper", "deps": [{ "pkg": "tokio", "dep_kinds": [{ "kind": null }] }] });
    metadata
        .resolve
        .nodes
        .push(serde_json::from_value(through).unwrap());
    let tokio = json!({ "name": "tokio", "version": "1.0.0", "id": "tokio", "manifest_path": "", "dependencies": [] });
    metadata.packages.push(serde_json::from_value(tokio).unwrap());
    assert_only(
        &graph::check(&metadata),
        "crates/mainstay-base/Cargo.toml",
        "needs `tokio` at run time",
    );
}

#[test]
fn a_crate_without_the_lint_table_is_found() {
    let metadata = workspace(&[
        ("a", "crates/a", &[]),
        ("b", "crates/b", &[]),
        ("c", "crates/c", &[]),
    ]);
    let tree = Tree::from([
        (
            "crates/a/Cargo.toml",
            "[package]\nname = \"a\"\n[lints]\nworkspace = true\n",
        ),
        (
            "crates/b/Cargo.toml",
            "[package]\nname = \"b\"\n[lints]\n[dependencies]\nworkspace = true\n",
        ),
        (
            "crates/c/Cargo.toml",
            "[lints]\n# why\nworkspace  =  true # all of it\n",
        ),
    ]);
    assert_only(&lints::check(&tree, &metadata), "crates/b/Cargo.toml", "[lints]");
}

#[test]
fn sizes_leave_tests_out() {
    let code = "fn a() {}\n".repeat(600);
    let tested = format!(
        "{}#[cfg(test)]\nmod tests {{\n{}}}\n",
        "fn a() {}\n".repeat(10),
        "fn t() {}\n".repeat(2_000)
    );
    let huge = "fn a() {}\n".repeat(1_001);
    let tree = Tree::from([
        ("crates/a/src/large.rs", &code),
        ("crates/a/src/tested.rs", &tested),
        ("crates/a/src/huge.rs", &huge),
        ("crates/a/tests/it/main.rs", &huge),
        ("crates/a/src/tests.rs", &huge),
        ("crates/a/src/notes.txt", &huge),
    ]);
    let sizes = sizes::measure(&tree);
    assert_only(&sizes.findings(), "crates/a/src/huge.rs", "1001 lines");
    assert_only(&sizes.warnings(), "crates/a/src/large.rs", "600 lines");
    assert!(
        sizes
            .summary()
            .starts_with("3 Rust files without tests: median 600 lines"),
        "{}",
        sizes.summary()
    );
}

#[test]
fn unfinished_code_is_found() {
    for code in [
        concat!("to", "do!()"),
        concat!("db", "g!(x)"),
        concat!("#[", "ignore]"),
        concat!("// TO", "DO later"),
    ] {
        let text = format!("fn a() {{}}\n{code}\n");
        let tree = Tree::from([("crates/a/src/lib.rs", &text)]);
        assert_only(
            &leftovers::check(&tree, &[]),
            "crates/a/src/lib.rs:2",
            "left over",
        );
    }
    let tree = Tree::from([("page.md", "Write `todo` in lower case, or MASTODON.\n")]);
    assert_eq!(lines(&leftovers::check(&tree, &[])), Vec::<String>::new());
}

#[test]
fn folders_of_a_machine_are_found() {
    let private = ["/data/mainstay".to_owned()];
    for line in [
        concat!("dir=/ho", "me/ada/x"),
        "see /data/mainstay/target",
        "(/data/mainstay)",
    ] {
        let tree = Tree::from([("scripts/x.sh", line)]);
        assert_only(
            &leftovers::check(&tree, &private),
            "scripts/x.sh:1",
            "somebody's machine",
        );
    }
    for line in [
        "docs/home/page.md",
        "/data/mainstay-policy",
        "$HOME/.cache",
        "https://x.example/data/mainstay",
    ] {
        let tree = Tree::from([("page.md", line)]);
        assert_eq!(
            lines(&leftovers::check(&tree, &private)),
            Vec::<String>::new(),
            "{line}"
        );
    }
}

#[test]
fn foreign_registries_are_found() {
    let lock = "name = \"x\"\nsource = \"registry+https://crates.intern.example/index\"\n";
    let tree = Tree::from([("Cargo.lock", lock)]);
    assert_only(&leftovers::check(&tree, &[]), "Cargo.lock:2", "somewhere else");

    let lock = "  \"resolved\": \"https://registry.npmjs.org/a.tgz\",\n  \"resolved\": \"https://npm.intern.example/a.tgz\",\n";
    let tree = Tree::from([("examples/x/package-lock.json", lock)]);
    assert_only(
        &leftovers::check(&tree, &[]),
        "examples/x/package-lock.json:2",
        "somewhere else",
    );

    let script = concat!("pip install --index", "-url https://pypi.intern.example x");
    let tree = Tree::from([("scripts/x.sh", script)]);
    assert_only(
        &leftovers::check(&tree, &[]),
        "scripts/x.sh:1",
        "package registry",
    );
}

#[test]
fn broken_links_are_found() {
    let page = "# A title, here\n[a](../README.md) [b](#a-title-here) [c](https://x.example) [d](../src) `[e](no.md)`\n\
                ```\n[f](no.md)\n```\n[g](gone.md \"title\")\n[h](../README.md#gone)\n[i](../../out.md)\n";
    let tree = Tree::from([
        ("docs/page.md", page),
        ("README.md", "# Hello\n"),
        ("src/main.rs", ""),
    ]);
    let found = lines(&documents::check_links(&tree));
    assert_eq!(
        found,
        [
            "docs/page.md:6: links to gone.md, which does not exist",
            "docs/page.md:7: links to the heading #gone, which README.md does not have",
            "docs/page.md:8: links to ../../out.md, which leaves the project",
        ]
    );
}

#[test]
fn unexplained_dependencies_are_found() {
    let metadata = workspace(&[
        (
            "mainstay-mesh",
            "crates/mainstay-mesh",
            &[
                ("hyper", None),
                ("mainstay-base", None),
                ("proptest", Some("dev")),
            ],
        ),
        ("mainstay-base", "crates/mainstay-base", &[]),
    ]);
    let text = "- `before`: not in the section\n## Dependencies\n- `hyper`: HTTP.\n- `proptest`: \n- `gone`: once.\n";
    let found = lines(&documents::check_dependencies(
        &Tree::from([("ARCHITECTURE.md", text)]),
        &metadata,
    ));
    assert_eq!(
        found,
        [
            "ARCHITECTURE.md: Dependencies: no line says why `proptest` is there",
            "ARCHITECTURE.md:5: nothing depends on `gone`",
        ]
    );
    assert_only(
        &documents::check_dependencies(&Tree::default(), &metadata),
        "ARCHITECTURE.md",
        "does not exist",
    );
}

#[test]
fn a_readme_without_the_test_command_is_found() {
    let command = documents::TEST_COMMAND;
    let tree = Tree::from([
        ("README.md", "# Mainstay\n    cargo test\n"),
        (".ci/run", command),
    ]);
    assert_only(&documents::check_commands(&tree), "README.md", command);
}

/// What was found in a lock of a fuzz target that uses `mainstay-mesh`, and through it `mainstay-base`.
fn findings_in(lock: &str) -> Vec<String> {
    let mut metadata = workspace(&[
        (
            "mainstay-mesh",
            "crates/mainstay-mesh",
            &[
                ("mainstay-base", None),
                ("http", None),
                ("log", None),
                ("rcgen", Some("dev")),
                ("prost-build", Some("build")),
            ],
        ),
        ("mainstay-base", "crates/mainstay-base", &[]),
        ("mainstay-api", "crates/mainstay-api", &[("tonic", None)]),
    ]);
    for package in &mut metadata.packages {
        for dependency in &mut package.dependencies {
            dependency.optional = dependency.name == "log";
        }
    }
    let fuzz = workspace(&[(
        "mainstay-fuzz",
        "fuzz",
        &[("mainstay-mesh", None), ("arbitrary", Some("dev"))],
    )]);
    let own: Vec<_> = fuzz.packages.into_iter().take(1).collect();
    let tree = Tree::from([("fuzz/Cargo.lock", lock)]);
    lines(&lock::check(&tree, &metadata, &own))
}

/// A lock that is as it should be.
const FUZZ_LOCK: &str = r#"version = 4

[[package]]
name = "http"
version = "1.4.0"
source = "registry+https://github.com/rust-lang/crates.io-index"
dependencies = [
 "bytes",
]

[[package]]
name = "mainstay-base"
version = "0.1.0"

[[package]]
name = "mainstay-fuzz"
version = "0.1.0"
dependencies = [
 "arbitrary",
 "mainstay-mesh",
]

[[package]]
name = "mainstay-mesh"
version = "0.1.0"
dependencies = [
 "http 1.4.0",
 "mainstay-base",
 "prost-build",
]
"#;

#[test]
fn a_lock_that_fell_behind_is_found() {
    assert_eq!(findings_in(FUZZ_LOCK), Vec::<String>::new());
    let base = "name = \"mainstay-base\"\nversion = \"0.1.0\"\n";
    for (from, to, wrong) in [
        (
            " \"http 1.4.0\",\n",
            "",
            "is behind, `mainstay-mesh` now depends on `http`",
        ),
        (
            " \"arbitrary\",\n",
            "",
            "is behind, `mainstay-fuzz` now depends on `arbitrary`",
        ),
        (
            " \"prost-build\",\n",
            "",
            "is behind, `mainstay-mesh` now depends on `prost-build`",
        ),
        (
            " \"mainstay-base\",\n",
            " \"mainstay-base\",\n \"rcgen\",\n",
            "is behind, `mainstay-mesh` no longer depends on `rcgen`",
        ),
        (
            base,
            "name = \"mainstay-base\"\nversion = \"0.0.9\"\n",
            "is behind, `mainstay-base` is now 0.1.0, and not 0.0.9",
        ),
        (
            base,
            "name = \"base\"\nversion = \"0.1.0\"\n",
            "lacks `mainstay-base`",
        ),
    ] {
        assert!(FUZZ_LOCK.contains(from), "{from}");
        let found = findings_in(&FUZZ_LOCK.replace(from, to));
        let fix = "run `cargo update --workspace --manifest-path fuzz/Cargo.toml`";
        assert_eq!(found, [format!("fuzz/Cargo.lock: {wrong}: {fix}")]);
    }
    assert_eq!(findings_in("version = 4\n").len(), 1, "an empty one");
    let missing = lock::check(&Tree::default(), &workspace(&[]), &[]);
    assert_only(&missing, "fuzz/Cargo.lock", "does not exist");
}
