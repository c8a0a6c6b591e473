//! Commands that look at and steer a running system. They talk to its control API.

pub(crate) mod cache;
mod component;
pub(crate) mod config;
mod control;
mod lines;
mod location;
pub(crate) mod logs;
pub(crate) mod migrate;
mod path;
pub(crate) mod restart;
pub(crate) mod secret;
pub(crate) mod state;
pub(crate) mod status;
pub(crate) mod stop;
pub(crate) mod value;
pub(crate) mod wait;

use std::io::{self, Write as _};

pub(crate) use control::Control;
pub(crate) use location::Location;
use mainstay_api::wire::System;
use serde::Serialize;

use crate::failure::Failure;

/// Writes the result of a command. A reader that has gone away (`| head`) wants no more and is no failure.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::refused(format!("cannot write the result: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes the result of a command as one line of JSON.
pub(crate) fn print_json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value)
        .map_err(|error| Failure::refused(format!("cannot write the result: {error}")))?;
    print(&(text + "\n"))
}

/// Refuses names that the system does not have, with the nearest one that it has.
pub(crate) fn check_apps(system: &System, wanted: &[String]) -> Result<(), Failure> {
    let known: Vec<&str> = system.apps.iter().map(|app| app.app.as_str()).collect();
    match wanted.iter().find(|app| !known.contains(&app.as_str())) {
        Some(unknown) => Err(Failure::usage(unknown_app(unknown, &known))),
        None => Ok(()),
    }
}

fn unknown_app(unknown: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(unknown, name), name))
        .min()
        .filter(|(distance, _)| *distance <= 2.max(unknown.len() / 3));
    match nearest {
        Some((_, name)) => format!("there is no app called `{unknown}`: did you mean `{name}`?"),
        None => format!(
            "there is no app called `{unknown}`; there are {}",
            known.join(", ")
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_app_gets_the_nearest_name() {
        let known = ["storefront", "orders"];
        assert_eq!(
            unknown_app("order", &known),
            "there is no app called `order`: did you mean `orders`?"
        );
        assert_eq!(
            unknown_app("payments", &known),
            "there is no app called `payments`; there are storefront, orders"
        );
    }
}
