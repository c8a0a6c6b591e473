//! `mainstay state`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args as ClapArgs, Subcommand};
use http::Method;
use mainstay_api::wire::{StateChange, StateItem, StateKey, StateValue};
use serde_json::json;

use crate::client::component::{STATE, Store};
use crate::client::path::Path;
use crate::client::{Control, Location, check_apps, print, print_json, value};
use crate::clock;
use crate::failure::{Failure, Outcome};
use crate::flags;
use crate::render::color::Palette;
use crate::render::table::{Align, Cell, table};
use crate::render::time;

/// How many keys are shown when nobody says how many.
const DEFAULT_LIMIT: usize = 1_000;

/// Look at and change what apps keep in state components
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    /// Write keys as this app does; otherwise they are as they are kept, such as `orders||key`
    #[arg(long, global = true, value_name = "APP")]
    app: Option<String>,
    /// The state component; by default `statestore`, or the only one there is
    #[arg(long, global = true, value_name = "NAME")]
    store: Option<String>,
    #[command(flatten)]
    location: Location,
    /// Print JSON: an object, or one per line
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// Print the value of a key as it is; exit code 1 when there is none
    Get {
        /// The key
        key: String,
    },
    Set(Set),
    /// Delete a key; exit code 1 when there is none
    Delete {
        /// The key
        key: String,
        /// Only while its value has this `ETag`
        #[arg(long, value_name = "ETAG")]
        etag: Option<String>,
    },
    /// List keys
    List {
        /// Only keys that begin with this
        prefix: Option<String>,
        /// How many keys at most; 1000 by default, with --json all
        #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
        limit: Option<u64>,
    },
    /// Print changes as they happen, until the system stops
    Watch {
        /// Only keys that begin with this
        prefix: Option<String>,
    },
}

/// Give a key a value. SDKs of apps expect JSON: a text needs its quotes
#[derive(Clone, Debug, ClapArgs)]
struct Set {
    /// The key
    key: String,
    /// Its value; - reads it from standard input
    #[arg(allow_negative_numbers = true)]
    value: String,
    /// How long it stays; for ever by default
    #[arg(long, value_name = "DURATION", value_parser = flags::duration)]
    ttl: Option<Duration>,
    /// Only while its value has this `ETag`
    #[arg(long, value_name = "ETAG")]
    etag: Option<String>,
    /// Only when the key does not exist
    #[arg(long, conflicts_with = "etag")]
    first_write: bool,
}

/// Does what is asked.
pub(crate) async fn run(args: &Args) -> Outcome {
    let control = Control::find(&args.location)?;
    if let Some(app) = &args.app {
        check_apps(&control.system().await?, std::slice::from_ref(app))?;
    }
    let store = STATE.find(&control, args.store.as_deref()).await?;
    let asked = Asked { args, control, store };
    match &args.command {
        Command::Get { key } => asked.get(key).await,
        Command::Set(set) => asked.set(set).await,
        Command::Delete { key, etag } => asked.delete(key, etag.as_ref()).await,
        Command::List { prefix, limit } => asked.list(prefix.as_ref(), *limit).await,
        Command::Watch { prefix } => asked.watch(prefix.as_ref()).await,
    }?;
    Ok(0)
}

struct Asked<'a> {
    args: &'a Args,
    control: Control,
    store: Store,
}

impl Asked<'_> {
    fn path(&self, path: String) -> Path {
        Path::new(path).with("app", self.args.app.as_ref())
    }

    fn key(&self, key: &str) -> Path {
        self.path(self.store.item("keys", key))
    }

    async fn get(&self, key: &str) -> Result<(), Failure> {
        let item: StateItem = self.control.get(self.key(key).text()).await?;
        if self.args.json {
            return print_json(&item);
        }
        value::print(&bytes(&item.value)?)
    }

    async fn set(&self, set: &Set) -> Result<(), Failure> {
        let path = self
            .key(&set.key)
            .with("ttl_seconds", set.ttl.map(whole_seconds).transpose()?)
            .with("etag", set.etag.as_ref())
            .with("first_write", set.first_write.then_some("true"));
        let value = value::argument(&set.value)?;
        self.control.send(Method::PUT, path.text(), value).await?;
        self.done(&set.key, "set")
    }

    async fn delete(&self, key: &str, etag: Option<&String>) -> Result<(), Failure> {
        let path = self.key(key).with("etag", etag);
        self.control.send(Method::DELETE, path.text(), Vec::new()).await?;
        self.done(key, "deleted")
    }

    fn done(&self, key: &str, state: &str) -> Result<(), Failure> {
        if self.args.json {
            print_json(&json!({"component": self.store.name, "key": key, "state": state}))
        } else {
            print(&format!("{}: {state}\n", value::brief(key)))
        }
    }

    async fn list(&self, prefix: Option<&String>, limit: Option<u64>) -> Result<(), Failure> {
        // One more, to see whether there are more.
        let asked = match limit {
            None if self.args.json => None,
            None => Some((DEFAULT_LIMIT + 1).to_string()),
            Some(limit) => Some(limit.to_string()),
        };
        let path = self.path(self.store.at("keys"));
        let path = path.with("prefix", prefix).with("limit", asked);
        let lines = self.control.lines(path.text()).await?;
        let Some(mut keys) = lines.rows::<StateKey>(self.args.json).await? else {
            return Ok(());
        };
        let cut = limit.is_none() && keys.len() > DEFAULT_LIMIT;
        if cut {
            keys.truncate(DEFAULT_LIMIT);
        }
        let palette = Palette::of(&std::io::stdout());
        print(&key_table(&keys, clock::unix_ms(), palette))?;
        if cut {
            value::note(&format!(
                "there are more than these {DEFAULT_LIMIT}: give a prefix or --limit"
            ));
        }
        Ok(())
    }

    async fn watch(&self, prefix: Option<&String>) -> Result<(), Failure> {
        let path = self.path(self.store.at("changes")).with("prefix", prefix);
        let mut lines = self.control.lines(path.text()).await?;
        if !self.args.json {
            value::note(&format!("watching {}", self.store.name));
        }
        while let Some((line, change)) = lines.decoded().await? {
            if self.args.json {
                print(&(line + "\n"))?;
            } else {
                print(&change_line(&change))?;
            }
        }
        Ok(())
    }
}

/// The value itself.
fn bytes(value: &StateValue) -> Result<Vec<u8>, Failure> {
    match value {
        StateValue::Value(text) => Ok(text.as_bytes().to_vec()),
        StateValue::ValueBase64(text) => STANDARD
            .decode(text)
            .map_err(|error| Failure::refused(format!("the answer is no base64: {error}"))),
    }
}

/// Times to live are whole seconds.
fn whole_seconds(ttl: Duration) -> Result<String, Failure> {
    if ttl.as_secs() == 0 || ttl.subsec_nanos() != 0 {
        let ttl = mainstay_base::format_duration(ttl);
        return Err(Failure::usage(format!(
            "--ttl {ttl}: write whole seconds, at least one"
        )));
    }
    Ok(ttl.as_secs().to_string())
}

fn key_table(keys: &[StateKey], now_unix_ms: u64, palette: Palette) -> String {
    let heads = [
        ("KEY", Align::Left),
        ("BYTES", Align::Right),
        ("ETAG", Align::Left),
        ("EXPIRES", Align::Left),
    ];
    let rows: Vec<Vec<Cell>> = keys
        .iter()
        .map(|key| {
            let expires = key.expires_unix_ms.map_or_else(String::new, |at| {
                let left = Duration::from_millis(at.saturating_sub(now_unix_ms));
                format!("in {}", time::span(left))
            });
            vec![
                value::brief(&key.key).into(),
                key.value_bytes.into(),
                value::brief(&key.etag).into(),
                expires.into(),
            ]
        })
        .collect();
    table(&heads, &rows, palette)
}

fn change_line(change: &StateChange) -> String {
    let key = value::brief(&change.key);
    match change.after.as_ref().map(|item| &item.value) {
        None => format!("{key} deleted\n"),
        Some(StateValue::Value(text)) => format!("{key} = {}\n", value::brief(text)),
        Some(StateValue::ValueBase64(text)) => format!("{key} = base64 {}\n", value::brief(text)),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn key(name: &str, value_bytes: u64, expires_unix_ms: Option<u64>) -> StateKey {
        StateKey {
            key: name.to_owned(),
            etag: "7".to_owned(),
            value_bytes,
            content_type: None,
            expires_unix_ms,
        }
    }

    #[test]
    fn keys_are_a_table() {
        let keys = [key("orders||1", 12, None), key("a\x1b[2Jb", 1_024, Some(61_000))];
        expect![[r"
            KEY        BYTES  ETAG  EXPIRES
            orders||1     12  7
            ab          1024  7     in 1m0s
        "]]
        .assert_eq(&key_table(&keys, 1_000, Palette::PLAIN));
    }

    #[test]
    fn changes_are_lines() {
        let change = |value: Option<StateValue>| StateChange {
            key: "k".to_owned(),
            after: value.map(|value| StateItem {
                key: "k".to_owned(),
                value,
                etag: "7".to_owned(),
                content_type: None,
                expires_unix_ms: None,
            }),
        };
        assert_eq!(change_line(&change(None)), "k deleted\n");
        let text = StateValue::Value("{\n1}".to_owned());
        assert_eq!(change_line(&change(Some(text))), "k = { 1}\n");
        let other = StateValue::ValueBase64("/w==".to_owned());
        assert_eq!(change_line(&change(Some(other))), "k = base64 /w==\n");
    }

    #[test]
    fn times_to_live_are_whole_seconds() {
        assert_eq!(whole_seconds(Duration::from_mins(2)).unwrap(), "120");
        for wrong in [Duration::ZERO, Duration::from_millis(1_500)] {
            assert_eq!(whole_seconds(wrong).unwrap_err().code(), 2);
        }
    }
}
