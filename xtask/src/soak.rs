//! The long versions of tests that the CI runs briefly.

use anyhow::{Context, Result};

use crate::process::{cargo, root, run as run_tool, tool};

/// What to soak.
#[derive(clap::Subcommand)]
pub(crate) enum Soak {
    /// The embedded store: power cuts, kills, damage, a full file system. The store on PostgreSQL: kills.
    Store(Store),
}

/// How much of what.
#[derive(clap::Args)]
pub(crate) struct Store {
    /// Disks built as they could be after a power cut.
    #[arg(long, default_value_t = 10_000)]
    images: u64,
    /// Kills of a process that uses the store.
    #[arg(long, default_value_t = 300)]
    kills: u64,
    /// Flipped bits, zeroed places, cut and removed files.
    #[arg(long, default_value_t = 10_000)]
    damages: u64,
    /// Kills of a PostgreSQL server, and of the two processes that use it.
    #[arg(long, default_value_t = 300)]
    postgres_kills: u64,
    /// The first seed; each run has the next one.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Images that are built from one recorded run.
const IMAGES_PER_RUN: u64 = 500;

/// Kills whose histories are judged together; the judgement of one long history would take most of the time.
const KILLS_PER_RUN: u64 = 50;

/// Soaks; the first failure ends it and names the seed.
///
/// # Errors
/// When something was found.
pub(crate) fn run(soak: &Soak) -> Result<()> {
    let Soak::Store(options) = soak;
    for (images, seed) in portions(options.images, IMAGES_PER_RUN).zip(options.seed..) {
        println!(
            "── power cuts: {} of {} done, seed {seed}",
            images.done, options.images
        );
        let variables = [
            ("MAINSTAY_STORE_IMAGES", images.count),
            ("MAINSTAY_STORE_SEED", seed),
        ];
        test("power::", &variables).with_context(|| format!("seed {seed}"))?;
    }
    for kills in portions(options.kills, KILLS_PER_RUN) {
        println!("── kills: {} of {} done", kills.done, options.kills);
        test("crash::", &[("MAINSTAY_STORE_KILLS", kills.count)])?;
    }
    for (kills, seed) in portions(options.postgres_kills, KILLS_PER_RUN).zip(options.seed..) {
        let all = options.postgres_kills;
        println!(
            "── kills around PostgreSQL: {} of {all} done, seed {seed}",
            kills.done
        );
        let variables = [
            ("MAINSTAY_STORE_KILLS", kills.count),
            ("MAINSTAY_STORE_SEED", seed),
        ];
        test("postgres::kills::", &variables).with_context(|| format!("seed {seed}"))?;
    }
    println!("── damages: {}", options.damages);
    test("damage::", &[("MAINSTAY_STORE_DAMAGES", options.damages)])?;
    println!("── a full file system");
    full_file_system()?;
    println!(
        "nothing found in {} images, {} and {} kills, and {} damages",
        options.images, options.kills, options.postgres_kills, options.damages
    );
    Ok(())
}

/// A part of something that is done in several runs.
struct Portion {
    done: u64,
    count: u64,
}

/// `all` in portions of at most `most`.
fn portions(all: u64, most: u64) -> impl Iterator<Item = Portion> {
    let starts = (0..all).step_by(usize::try_from(most).unwrap_or(usize::MAX));
    starts.map(move |done| Portion {
        done,
        count: most.min(all - done),
    })
}

/// Fills a file system of 5 MiB, mounted where only the test sees it; no privileges are needed for that.
fn full_file_system() -> Result<()> {
    let folder = root().join("target/small");
    std::fs::create_dir_all(&folder)?;
    let script = r#"mount -t tmpfs -o size=5m tmpfs "$MAINSTAY_STORE_SMALL_FOLDER" && exec "$@""#;
    let mut command = tool("unshare");
    command.args(["--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    command.arg(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args([
        "test",
        "--quiet",
        "-p",
        "mainstay-store",
        "--test",
        "it",
        "full::",
    ]);
    command.env("MAINSTAY_STORE_SMALL_FOLDER", &folder);
    run_tool(&mut command)
}

fn test(filter: &str, variables: &[(&str, u64)]) -> Result<()> {
    let mut command = cargo(&["test", "--quiet", "-p", "mainstay-store", "--test", "it", filter]);
    // As in the CI, a server that is not installed fails the test.
    command.env("CI", "true");
    for (name, value) in variables {
        command.env(name, value.to_string());
    }
    run_tool(&mut command)
}
