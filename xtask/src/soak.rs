//! The long versions of tests that the CI runs briefly.

use anyhow::{Context, Result};

use crate::process::{cargo, root, run as run_tool, tool};

/// What to soak.
#[derive(clap::Subcommand)]
pub(crate) enum Soak {
    /// The embedded store: power cuts, kills, damage, a full file system.
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
    /// The first seed; each recorded run has the next one.
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
    for (number, seed) in (options.seed..).enumerate() {
        let done = number as u64 * IMAGES_PER_RUN;
        if done >= options.images {
            break;
        }
        let images = IMAGES_PER_RUN.min(options.images - done);
        println!("── power cuts: {done} of {} done, seed {seed}", options.images);
        let variables = [("MAINSTAY_STORE_IMAGES", images), ("MAINSTAY_STORE_SEED", seed)];
        test("power::", &variables).with_context(|| format!("seed {seed}"))?;
    }
    let mut kills = 0;
    while kills < options.kills {
        println!("── kills: {kills} of {} done", options.kills);
        let next = KILLS_PER_RUN.min(options.kills - kills);
        test("crash::", &[("MAINSTAY_STORE_KILLS", next)])?;
        kills += next;
    }
    println!("── damages: {}", options.damages);
    test("damage::", &[("MAINSTAY_STORE_DAMAGES", options.damages)])?;
    println!("── a full file system");
    full_file_system()?;
    println!(
        "nothing found in {} images, {} kills and {} damages",
        options.images, options.kills, options.damages
    );
    Ok(())
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
    for (name, value) in variables {
        command.env(name, value.to_string());
    }
    run_tool(&mut command)
}
