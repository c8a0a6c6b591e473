//! `mainstay config`.

use clap::{Args as ClapArgs, Subcommand};
use http::Method;
use mainstay_api::wire::{ConfigChange, ConfigChanged, ConfigContent, ConfigItem, ConfigRecord};
use mainstay_base::rfc3339;

use crate::client::component::{CONFIGURATION, Store};
use crate::client::path::Path;
use crate::client::{Control, Location, print, print_json, value};
use crate::failure::{Failure, Outcome};
use crate::render::color::Palette;
use crate::render::table::{Align, Cell, table};

/// Look at and change the settings of apps; every change is remembered and can be undone
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    /// The configuration component; by default `configstore`, or the only one there is
    #[arg(long, global = true, value_name = "NAME")]
    store: Option<String>,
    /// Who makes the change; by default the name of the user ($USER)
    #[arg(long, global = true, value_name = "NAME")]
    by: Option<String>,
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
    /// Give a key a value; apps that subscribed are told
    Set {
        /// The key
        key: String,
        /// Its value; - reads it from standard input
        #[arg(allow_negative_numbers = true)]
        value: String,
        /// What is said about it; may repeat
        #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
        metadata: Vec<(String, String)>,
    },
    /// Delete a key; exit code 1 when there is none
    Delete {
        /// The key
        key: String,
    },
    /// List keys and values
    List,
    /// Show who changed a key when, the last change first
    History {
        /// The key
        key: String,
    },
    /// Make the last change of a key backwards
    Undo {
        /// The key
        key: String,
        /// Only if that is the last change
        #[arg(value_name = "VERSION")]
        change: Option<u64>,
    },
    /// Print changes as they happen, until the system stops
    Watch {
        /// Only these keys
        keys: Vec<String>,
        /// What the component wants to know, such as pgNotifyChannel; may repeat
        #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
        metadata: Vec<(String, String)>,
    },
}

fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("write NAME=VALUE".to_owned()),
    }
}

/// Does what is asked.
pub(crate) async fn run(args: &Args) -> Outcome {
    let control = Control::find(&args.location)?;
    let store = CONFIGURATION.find(&control, args.store.as_deref()).await?;
    let asked = Asked { args, control, store };
    match &args.command {
        Command::Get { key } => asked.get(key).await,
        Command::Set { key, value, metadata } => {
            let path = asked.change(key)?;
            let path = with_metadata(path, metadata);
            let value = value::argument(value)?;
            asked.changed(Method::PUT, &path, value, "set").await
        }
        Command::Delete { key } => {
            let path = asked.change(key)?;
            asked.changed(Method::DELETE, &path, Vec::new(), "deleted").await
        }
        Command::List => asked.list().await,
        Command::History { key } => asked.history(key).await,
        Command::Undo { key, change } => {
            let path = Path::new(asked.store.item("keys", key) + "/undo")
                .with("by", Some(by(args.by.as_deref())?))
                .with("version", change.map(|version| version.to_string()));
            asked.changed(Method::POST, &path, Vec::new(), "undone").await
        }
        Command::Watch { keys, metadata } => asked.watch(keys, metadata).await,
    }?;
    Ok(0)
}

/// Who makes a change.
fn by(named: Option<&str>) -> Result<String, Failure> {
    let of_user = |variable| std::env::var(variable).ok().filter(|name| !name.is_empty());
    let by = named.map(str::to_owned);
    by.or_else(|| of_user("USER"))
        .or_else(|| of_user("LOGNAME"))
        .ok_or_else(|| Failure::usage("$USER is empty: say with --by who makes the change"))
}

fn with_metadata(path: Path, metadata: &[(String, String)]) -> Path {
    metadata.iter().fold(path, |path, (name, value)| {
        path.with(&format!("metadata.{name}"), Some(value))
    })
}

struct Asked<'a> {
    args: &'a Args,
    control: Control,
    store: Store,
}

impl Asked<'_> {
    async fn get(&self, key: &str) -> Result<(), Failure> {
        let item: ConfigItem = self.control.get(&self.store.item("keys", key)).await?;
        if self.args.json {
            return print_json(&item);
        }
        value::print(item.value.as_bytes())
    }

    fn change(&self, key: &str) -> Result<Path, Failure> {
        let by = by(self.args.by.as_deref())?;
        Ok(Path::new(self.store.item("keys", key)).with("by", Some(by)))
    }

    async fn changed(&self, method: Method, path: &Path, value: Vec<u8>, word: &str) -> Result<(), Failure> {
        let changed: ConfigChanged = self.control.exchange(method, path.text(), value).await?;
        if self.args.json {
            return print_json(&changed);
        }
        let key = value::brief(&changed.key);
        match changed.version {
            Some(version) => print(&format!("{key}: {word} (version {version})\n")),
            None => print(&format!("{key}: it was so already\n")),
        }
    }

    async fn list(&self) -> Result<(), Failure> {
        let lines = self.control.lines(&self.store.at("keys")).await?;
        let Some(items) = lines.rows::<ConfigItem>(self.args.json).await? else {
            return Ok(());
        };
        print(&item_table(&items, Palette::of(&std::io::stdout())))
    }

    async fn history(&self, key: &str) -> Result<(), Failure> {
        let path = self.store.item("keys", key) + "/history";
        let lines = self.control.lines(&path).await?;
        let Some(records) = lines.rows::<ConfigRecord>(self.args.json).await? else {
            return Ok(());
        };
        print(&history_table(&records, Palette::of(&std::io::stdout())))
    }

    async fn watch(&self, keys: &[String], metadata: &[(String, String)]) -> Result<(), Failure> {
        let path = Path::new(self.store.at("changes"));
        let path = keys.iter().fold(path, |path, key| path.with("key", Some(key)));
        let path = with_metadata(path, metadata);
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

fn item_table(items: &[ConfigItem], palette: Palette) -> String {
    let heads = [
        ("KEY", Align::Left),
        ("VALUE", Align::Left),
        ("VERSION", Align::Left),
    ];
    let rows: Vec<Vec<Cell>> = items
        .iter()
        .map(|item| {
            let cells = [&item.key, &item.value, &item.version];
            cells.map(|text| value::brief(text).into()).to_vec()
        })
        .collect();
    table(&heads, &rows, palette)
}

fn history_table(records: &[ConfigRecord], palette: Palette) -> String {
    let heads = [
        ("VERSION", Align::Left),
        ("TIME", Align::Left),
        ("BY", Align::Left),
        ("BEFORE", Align::Left),
        ("AFTER", Align::Left),
        ("NOTE", Align::Left),
    ];
    let content = |content: &Option<ConfigContent>| match content {
        Some(content) => value::brief(&content.value),
        None => "(none)".to_owned(),
    };
    let rows: Vec<Vec<Cell>> = records
        .iter()
        .map(|record| {
            let note = record.undoes.as_ref();
            let note = note.map_or_else(String::new, |undone| format!("undoes {undone}"));
            vec![
                record.version.as_str().into(),
                rfc3339(record.time_unix_ms).into(),
                value::brief(&record.by).into(),
                content(&record.before).into(),
                content(&record.after).into(),
                note.into(),
            ]
        })
        .collect();
    table(&heads, &rows, palette)
}

fn change_line(change: &ConfigChange) -> String {
    let key = value::brief(&change.key);
    match &change.after {
        None => format!("{key} deleted\n"),
        Some(item) => format!("{key} = {}\n", value::brief(&item.value)),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use expect_test::expect;

    use super::*;

    fn item(key: &str, value: &str) -> ConfigItem {
        ConfigItem {
            key: key.to_owned(),
            value: value.to_owned(),
            version: "7".to_owned(),
            metadata: BTreeMap::new(),
        }
    }

    #[test]
    fn settings_are_a_table() {
        let items = [item("color", "blue"), item("text", "a\nb")];
        expect![[r"
            KEY    VALUE  VERSION
            color  blue   7
            text   a b    7
        "]]
        .assert_eq(&item_table(&items, Palette::PLAIN));
    }

    #[test]
    fn the_history_tells_who_and_what() {
        let content = |value: &str| {
            Some(ConfigContent {
                value: value.to_owned(),
                metadata: BTreeMap::new(),
            })
        };
        let record = |version: &str, undoes: Option<&str>, before, after| ConfigRecord {
            version: version.to_owned(),
            time_unix_ms: 1_770_000_000_000,
            by: "ada".to_owned(),
            undoes: undoes.map(str::to_owned),
            before,
            after,
        };
        let records = [
            record("8", Some("7"), content("blue"), None),
            record("7", None, None, content("blue")),
        ];
        expect![[r"
            VERSION  TIME                  BY   BEFORE  AFTER   NOTE
            8        2026-02-02T02:40:00Z  ada  blue    (none)  undoes 7
            7        2026-02-02T02:40:00Z  ada  (none)  blue
        "]]
        .assert_eq(&history_table(&records, Palette::PLAIN));
    }

    #[test]
    fn changes_are_lines() {
        let change = |after: Option<ConfigItem>| ConfigChange {
            key: "color".to_owned(),
            after,
        };
        assert_eq!(
            change_line(&change(Some(item("color", "blue")))),
            "color = blue\n"
        );
        assert_eq!(change_line(&change(None)), "color deleted\n");
    }

    #[test]
    fn pairs_are_read() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("a").is_err() && pair("=b").is_err());
    }

    #[test]
    fn who_is_named_wins() {
        assert_eq!(by(Some("ada")).unwrap(), "ada");
    }
}
