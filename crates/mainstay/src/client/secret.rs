//! `mainstay secret`.

use std::fs::File;
use std::io::{self, IsTerminal as _};
use std::path::{Path as FilePath, PathBuf};

use clap::{Args as ClapArgs, Subcommand};
use http::Method;
use mainstay_api::wire::{SecretChanged, SecretItem, SecretName, SecretsRewrapped};
use serde_json::json;

use crate::client::component::{SECRETS, Store};
use crate::client::path::Path;
use crate::client::{Control, Location, print, print_json, value};
use crate::failure::{Failure, Outcome};
use crate::render::color::Palette;
use crate::render::table::{Align, Cell, table};

/// Keep secrets for apps and component files
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
    /// The secret component; by default `secretstore`, or the only one there is
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
    /// List names, versions, and the identities of the keys that secrets are sealed with
    List,
    Set(Set),
    /// Show which values a secret has; exit code 1 when there is no such secret
    Get {
        /// The secret
        name: String,
        /// Print the value itself
        #[arg(long)]
        reveal: bool,
        /// This value of it, where it has several
        #[arg(long, value_name = "NAME")]
        part: Option<String>,
    },
    /// Delete a secret with all of its values; exit code 1 when there is none
    Delete {
        /// The secret
        name: String,
    },
    /// Seal all secrets with the first key, after a new one was put before the old one
    Rewrap,
}

/// Give a secret a value, which comes from standard input or a file: everybody on this machine can see the arguments of a
/// command, and shells remember them. One line break at the end is left out
#[derive(Clone, Debug, ClapArgs)]
struct Set {
    /// The secret
    name: String,
    /// Only to be refused.
    #[arg(hide = true)]
    value: Option<String>,
    /// Read the value from this file
    #[arg(long, value_name = "FILE")]
    from_file: Option<PathBuf>,
    /// Set this value of it and leave its others as they are
    #[arg(long, value_name = "NAME")]
    part: Option<String>,
}

/// Does what is asked.
pub(crate) async fn run(args: &Args) -> Outcome {
    // Before anything is asked for, so that the value is wanted only once.
    if let Command::Set(Set { value: Some(_), .. }) = &args.command {
        return Err(in_sight());
    }
    let control = Control::find(&args.location)?;
    let store = SECRETS.find(&control, args.store.as_deref()).await?;
    let asked = Asked { args, control, store };
    match &args.command {
        Command::List => asked.list().await,
        Command::Set(set) => asked.set(set).await,
        Command::Get { name, reveal, part } => asked.get(name, *reveal, part.as_deref()).await,
        Command::Delete { name } => asked.delete(name).await,
        Command::Rewrap => asked.rewrap().await,
    }?;
    Ok(0)
}

fn in_sight() -> Failure {
    Failure::usage(
        "the value of a secret is not given on the command line, where everybody on this machine can see it (ps) and \
         the shell remembers it: write it to standard input, or name its file with --from-file",
    )
}

struct Asked<'a> {
    args: &'a Args,
    control: Control,
    store: Store,
}

impl Asked<'_> {
    async fn list(&self) -> Result<(), Failure> {
        let lines = self.control.lines(&self.store.at("names")).await?;
        let Some(names) = lines.rows::<SecretName>(self.args.json).await? else {
            return Ok(());
        };
        print(&name_table(&names, Palette::of(&io::stdout())))
    }

    async fn get(&self, name: &str, reveal: bool, part: Option<&str>) -> Result<(), Failure> {
        let path = Path::new(self.store.item("names", name)).with("reveal", reveal.then_some("true"));
        let mut item: SecretItem = self.control.get(path.text()).await?;
        if let Some(part) = part {
            keep_part(&mut item, part)?;
        }
        if self.args.json {
            return print_json(&item);
        }
        match &item.values {
            None => print(
                &item
                    .parts
                    .iter()
                    .map(|part| value::brief(part) + "\n")
                    .collect::<String>(),
            ),
            Some(values) => match values.values().collect::<Vec<_>>().as_slice() {
                [only] => value::print(only.as_bytes()),
                _ => Err(Failure::usage(format!(
                    "{name} has the values {}: choose one with --part, or take --json",
                    item.parts.join(", ")
                ))),
            },
        }
    }

    async fn set(&self, set: &Set) -> Result<(), Failure> {
        let path = Path::new(self.store.item("names", &set.name)).with("part", set.part.as_ref());
        let value = secret_value(set.from_file.as_deref())?;
        let changed: SecretChanged = self.control.exchange(Method::PUT, path.text(), value).await?;
        if self.args.json {
            return print_json(&changed);
        }
        let SecretChanged { name, version } = changed;
        print(&format!("{}: set (version {version})\n", value::brief(&name)))
    }

    async fn delete(&self, name: &str) -> Result<(), Failure> {
        let path = self.store.item("names", name);
        self.control.send(Method::DELETE, &path, Vec::new()).await?;
        if self.args.json {
            return print_json(&json!({"component": self.store.name, "name": name, "state": "deleted"}));
        }
        print(&format!("{}: deleted\n", value::brief(name)))
    }

    async fn rewrap(&self) -> Result<(), Failure> {
        let path = self.store.at("rewrap");
        let rewrapped: SecretsRewrapped = self.control.exchange(Method::POST, &path, Vec::new()).await?;
        if self.args.json {
            return print_json(&rewrapped);
        }
        let SecretsRewrapped { done, changed } = rewrapped;
        print(&match changed {
            0 => format!("{done} secrets are sealed with the first key now, which were not before\n"),
            changed => format!(
                "{done} secrets are sealed with the first key now, which were not before; {changed} were changed \
                 meanwhile: do it again to be sure\n"
            ),
        })
    }
}

/// Leaves one value of a secret.
fn keep_part(item: &mut SecretItem, part: &str) -> Result<(), Failure> {
    if !item.parts.iter().any(|known| known == part) {
        return Err(Failure::refused(format!(
            "{} has no value `{part}`: there are {}",
            item.name,
            item.parts.join(", ")
        )));
    }
    item.parts.retain(|known| known == part);
    if let Some(values) = &mut item.values {
        values.retain(|known, _| known == part);
    }
    Ok(())
}

/// The value from a file or from standard input, without one line break at its end.
fn secret_value(file: Option<&FilePath>) -> Result<Vec<u8>, Failure> {
    let mut value = match file {
        Some(path) => {
            let file = File::open(path)
                .map_err(|error| Failure::usage(format!("cannot read {}: {error}", path.display())))?;
            value::read(file, &path.display().to_string())?
        }
        None if io::stdin().is_terminal() => {
            return Err(Failure::usage(
                "write the value to standard input, or name its file with --from-file",
            ));
        }
        None => value::read(io::stdin().lock(), "standard input")?,
    };
    trim_line_break(&mut value);
    if value.is_empty() {
        return Err(Failure::usage("the value is empty"));
    }
    Ok(value)
}

fn trim_line_break(value: &mut Vec<u8>) {
    if value.ends_with(b"\n") {
        value.pop();
        if value.ends_with(b"\r") {
            value.pop();
        }
    }
}

fn name_table(names: &[SecretName], palette: Palette) -> String {
    let heads = [
        ("NAME", Align::Left),
        ("VERSION", Align::Left),
        ("KEY", Align::Left),
    ];
    let known = |text: &Option<String>| text.as_deref().map_or_else(String::new, value::brief);
    let rows: Vec<Vec<Cell>> = names
        .iter()
        .map(|name| {
            vec![
                value::brief(&name.name).into(),
                known(&name.version).into(),
                known(&name.key).into(),
            ]
        })
        .collect();
    table(&heads, &rows, palette)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use expect_test::expect;

    use super::*;

    #[test]
    fn secrets_are_a_table() {
        let name = |name: &str, version: Option<&str>, key: Option<&str>| SecretName {
            name: name.to_owned(),
            version: version.map(str::to_owned),
            key: key.map(str::to_owned),
        };
        let names = [name("db", Some("7"), Some("0f0f")), name("PATH", None, None)];
        expect![[r"
            NAME  VERSION  KEY
            db    7        0f0f
            PATH
        "]]
        .assert_eq(&name_table(&names, Palette::PLAIN));
    }

    #[test]
    fn one_line_break_is_left_out() {
        for (given, kept) in [
            ("a\n", "a"),
            ("a\r\n", "a"),
            ("a\n\n", "a\n"),
            ("a", "a"),
            ("\r", "\r"),
        ] {
            let mut value = given.as_bytes().to_vec();
            trim_line_break(&mut value);
            assert_eq!(value, kept.as_bytes(), "{given:?}");
        }
    }

    #[test]
    fn one_part_is_left() {
        let values = [("user", "ada"), ("password", "pw")];
        let values = values.map(|(part, value)| (part.to_owned(), value.to_owned()));
        let mut item = SecretItem {
            name: "db".to_owned(),
            parts: vec!["password".to_owned(), "user".to_owned()],
            values: Some(BTreeMap::from(values)),
        };
        let missing = keep_part(&mut item, "pass").unwrap_err();
        assert_eq!(missing.code(), 1);
        assert!(missing.to_string().contains("password, user"), "{missing}");
        keep_part(&mut item, "user").unwrap();
        assert_eq!(item.parts, ["user"]);
        assert_eq!(item.values.unwrap().into_keys().collect::<Vec<_>>(), ["user"]);
    }
}
