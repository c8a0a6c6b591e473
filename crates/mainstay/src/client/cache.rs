//! `mainstay cache`.

use std::time::Duration;

use clap::{Args as ClapArgs, Subcommand};
use http::Method;
use mainstay_api::wire::{Cache, Caches};
use mainstay_base::format_duration;
use serde_json::json;

use crate::client::path::{Path, segment};
use crate::client::{Control, Location, check_apps, print, print_json, value};
use crate::document::did_you_mean;
use crate::failure::{Failure, Outcome};
use crate::render::color::Palette;
use crate::render::table::{Align, Cell, table};

/// Look at the caches of calls and of state, and make them forget
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    location: Location,
    /// Print JSON
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// List every cache: how long it keeps, what it has done since the start, what it holds
    List,
    Invalidate(Invalidate),
}

/// Forget what is kept under a key; everything when none is named
#[derive(Clone, Debug, ClapArgs)]
struct Invalidate {
    /// The cache: an edge such as `storefront->catalog`, or a state component
    #[arg(value_name = "EDGE_OR_COMPONENT")]
    cache: String,
    /// A path of the callee such as /products, whatever its query; or a key of the state component, as it is kept
    key: Option<String>,
    /// Forget everything that begins with the key
    #[arg(long, requires = "key")]
    prefix: bool,
    /// Write the key of a state component as this app does; without a key, forget all that is this app's
    #[arg(long, value_name = "APP")]
    app: Option<String>,
}

/// Does what is asked.
pub(crate) async fn run(args: &Args) -> Outcome {
    let control = Control::find(&args.location)?;
    let Caches { caches } = control.get("/api/caches").await?;
    match &args.command {
        Command::List if args.json => print_json(&Caches { caches }),
        Command::List if caches.is_empty() => {
            value::note("no cache is declared: add `cache: { ttl: 30s }` to a call or to a component");
            Ok(())
        }
        Command::List => print(&cache_table(&caches, Palette::of(&std::io::stdout()))),
        Command::Invalidate(asked) => {
            check_cache(&caches, &asked.cache)?;
            if let Some(app) = &asked.app {
                check_apps(&control.system().await?, std::slice::from_ref(app))?;
            }
            invalidate(&control, asked, args.json).await
        }
    }?;
    Ok(0)
}

fn check_cache(caches: &[Cache], wanted: &str) -> Result<(), Failure> {
    let known: Vec<&str> = caches.iter().map(|cache| cache.name.as_str()).collect();
    if known.contains(&wanted) {
        return Ok(());
    }
    let help = if known.is_empty() {
        "none is declared".to_owned()
    } else {
        did_you_mean(wanted, known)
    };
    Err(Failure::usage(format!(
        "there is no cache called `{wanted}`: {help}"
    )))
}

async fn invalidate(control: &Control, asked: &Invalidate, json: bool) -> Result<(), Failure> {
    let path = format!("/api/caches/{}/invalidate", segment(&asked.cache));
    let named = if asked.prefix { "prefix" } else { "key" };
    let path = Path::new(path)
        .with(named, asked.key.as_ref())
        .with("app", asked.app.as_ref());
    control.send(Method::POST, path.text(), Vec::new()).await?;
    if json {
        let key = asked.key.as_ref();
        return print_json(&json!({
            "cache": asked.cache,
            named: key,
            "state": "invalidated",
        }));
    }
    let what = match (&asked.key, asked.prefix) {
        (None, _) => "everything".to_owned(),
        (Some(key), false) => value::brief(key),
        (Some(key), true) => format!("{}…", value::brief(key)),
    };
    print(&format!("{}: forgot {what}\n", value::brief(&asked.cache)))
}

fn cache_table(caches: &[Cache], palette: Palette) -> String {
    let heads = [
        ("CACHE", Align::Left),
        ("TTL", Align::Right),
        ("STALE", Align::Right),
        ("HIT RATIO", Align::Right),
        ("HITS", Align::Right),
        ("STALE HITS", Align::Right),
        ("MISSES", Align::Right),
        ("ENTRIES", Align::Right),
        ("BYTES", Align::Right),
    ];
    let time = |ms| format_duration(Duration::from_millis(ms));
    let figure =
        |figure: Option<u64>| figure.map_or_else(|| "on redis".to_owned(), |figure| figure.to_string());
    let rows: Vec<Vec<Cell>> = caches
        .iter()
        .map(|cache| {
            let ratio = cache.hit_ratio.map(|ratio| format!("{:.1}%", ratio * 100.0));
            vec![
                cache.name.as_str().into(),
                time(cache.ttl_ms).into(),
                time(cache.stale_ms).into(),
                ratio.unwrap_or_else(|| "-".to_owned()).into(),
                cache.hits.into(),
                cache.stale.into(),
                cache.misses.into(),
                figure(cache.entries).into(),
                figure(cache.bytes).into(),
            ]
        })
        .collect();
    table(&heads, &rows, palette)
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use mainstay_api::wire::CacheKind;

    use super::*;

    fn cache(name: &str, kind: CacheKind, entries: Option<u64>) -> Cache {
        Cache {
            name: name.to_owned(),
            kind,
            ttl_ms: 30_000,
            stale_ms: 600_000,
            hit_ratio: entries.map(|_| 0.75),
            hits: 2,
            stale: 1,
            misses: 1,
            passed: 0,
            load_failures: 0,
            invalidations: 0,
            store_errors: 0,
            entries,
            bytes: entries.map(|entries| entries * 1_024),
            max_bytes: None,
            evictions: None,
        }
    }

    #[test]
    fn caches_are_a_table() {
        let caches = [
            cache("statestore", CacheKind::State, None),
            cache("storefront->catalog", CacheKind::Calls, Some(7)),
        ];
        expect![[r#"
            CACHE                TTL  STALE  HIT RATIO  HITS  STALE HITS  MISSES   ENTRIES     BYTES
            statestore           30s    10m          -     2           1       1  on redis  on redis
            storefront->catalog  30s    10m      75.0%     2           1       1         7      7168
        "#]]
        .assert_eq(&cache_table(&caches, Palette::PLAIN));
    }

    #[test]
    fn an_unknown_cache_gets_the_nearest_name() {
        let caches = [cache("storefront->catalog", CacheKind::Calls, Some(7))];
        assert!(check_cache(&caches, "storefront->catalog").is_ok());
        let failure = check_cache(&caches, "storefront->katalog").unwrap_err();
        assert_eq!(failure.code(), 2);
        assert!(failure.to_string().contains("did you mean"), "{failure}");
        let failure = check_cache(&[], "x").unwrap_err();
        assert!(failure.to_string().ends_with("none is declared"), "{failure}");
    }
}
