//! What apps wait for before they start.

use std::collections::{BTreeMap, BTreeSet};

use mainstay_base::AppId;

use super::Rules;
use crate::diagnostic::Code;
use crate::document::did_you_mean;
use crate::manifest::file::{App, Condition, Needs, Restart, RestartWord};

impl Rules<'_> {
    pub(super) fn needs(&mut self, name: &AppId, app: &App) {
        for (target, condition, key) in needs_of(app) {
            let path = ["apps", name.as_str(), "needs", key.as_str()];
            if !self.apps.contains(&target.as_str()) {
                let message = if self.externals.contains(&target.as_str()) {
                    format!("`{name}` needs `{target}`, which is external: Mainstay does not start it")
                } else {
                    format!("`{name}` needs `{target}`, which is not an app")
                };
                let help = did_you_mean(target.as_str(), self.apps.clone());
                self.error(Code::UNKNOWN_APP, &path, message, help);
                continue;
            }
            let restart = self.parsed.file.apps.iter().find(|(known, _)| *known == target);
            let always = restart.is_some_and(|(_, app)| restart_word(app) == RestartWord::Always);
            if condition == Condition::Completed && always {
                let message =
                    format!("`{name}` waits for `{target}` to complete, which is restarted whenever it ends");
                let help =
                    format!("give `{target}` `restart: on-failure`, or wait for it to be started or healthy");
                self.error(Code::NEVER_HOLDS, &path, message, help);
            }
        }
    }

    pub(super) fn needs_cycles(&mut self) {
        let apps = &self.parsed.file.apps;
        let edges: BTreeMap<&str, Vec<(AppId, String)>> = apps
            .iter()
            .map(|(name, app)| {
                let needs = needs_of(app)
                    .into_iter()
                    .map(|(target, _, key)| (target.clone(), key));
                (name.as_str(), needs.collect())
            })
            .collect();
        let mut done: BTreeSet<String> = BTreeSet::new();
        for (start, _) in apps.iter() {
            let Some(cycle) = cycle_from(start.as_str(), &edges, &done) else {
                done.insert(start.to_string());
                continue;
            };
            if cycle.iter().any(|(name, _)| done.contains(name)) {
                continue;
            }
            done.extend(cycle.iter().map(|(name, _)| name.clone()));
            let mut shown: Vec<&str> = cycle.iter().map(|(name, _)| name.as_str()).collect();
            shown.extend(shown.first().copied());
            let message = format!("these apps wait for each other for ever: {}", shown.join(" -> "));
            if let Some((name, key)) = cycle.first() {
                let path = ["apps", name.as_str(), "needs", key.as_str()];
                self.error(
                    Code::NEEDS_CYCLE,
                    &path,
                    message,
                    "take one of these `needs` out; a call at run time does not need one",
                );
            }
        }
    }
}

pub(in crate::manifest) fn restart_word(app: &App) -> RestartWord {
    match &app.restart {
        None => RestartWord::default(),
        Some(Restart::Word(word)) => *word,
        Some(Restart::Full(full)) => full.policy,
    }
}

/// What an app needs, with its key in the file.
pub(in crate::manifest) fn needs_of(app: &App) -> Vec<(&AppId, Condition, String)> {
    match &app.needs {
        Needs::List(list) => {
            let items = list.iter().enumerate();
            items
                .map(|(index, name)| (&name.0, Condition::Healthy, index.to_string()))
                .collect()
        }
        Needs::Map(map) => map
            .iter()
            .map(|(name, condition)| (name, *condition, name.to_string()))
            .collect(),
    }
}

/// A cycle that can be reached from `start`, as app and the key of its need; depth first without recursion.
fn cycle_from(
    start: &str,
    edges: &BTreeMap<&str, Vec<(AppId, String)>>,
    done: &BTreeSet<String>,
) -> Option<Vec<(String, String)>> {
    let mut visited: BTreeSet<String> = BTreeSet::new();
    // The path to here: each app with the index of the need that is followed next.
    let mut path: Vec<(String, usize)> = vec![(start.to_owned(), 0)];
    while let Some((name, next)) = path.last_mut() {
        let followed = edges.get(name.as_str()).and_then(|needs| needs.get(*next));
        *next += 1;
        let Some((target, _)) = followed else {
            visited.insert(name.clone());
            path.pop();
            continue;
        };
        if let Some(from) = path.iter().position(|(known, _)| known == target.as_str()) {
            let cycle = path.get(from..).unwrap_or_default();
            let keyed = cycle.iter().filter_map(|(name, next)| {
                let (_, key) = edges.get(name.as_str())?.get(next.checked_sub(1)?)?;
                Some((name.clone(), key.clone()))
            });
            return Some(keyed.collect());
        }
        if !visited.contains(target.as_str()) && !done.contains(target.as_str()) {
            path.push((target.to_string(), 0));
        }
    }
    None
}
