//! `mainstay explain`: every number of an edge, with the sum that led to it and where its figures come from.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use mainstay_mesh::Fallback;
use mainstay_policy::derive::Reason;
use serde_json::{Value, json};

use crate::assembly::{self, Assembly, Edge, Target};
use crate::client::{print, print_json};
use crate::document::did_you_mean;
use crate::failure::{Failure, Outcome};
use crate::manifest::{self, Manifest};
use crate::render;
use crate::render::color::Palette;

/// Show the policy of a call: every number, the sum that led to it, and its origin
///
/// An edge is written CALLER->TARGET (in quotes, for the shell) or as two words; `ingress` is the front door. Without one,
/// all edges are listed.
#[derive(Clone, Debug, ClapArgs)]
pub(crate) struct Args {
    /// `CALLER->TARGET` or `CALLER TARGET`
    #[arg(value_name = "EDGE", num_args = 0..=2)]
    edge: Vec<String>,
    /// Folder of the manifest, or the manifest itself
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Print the result as JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Explains.
pub(crate) fn run(args: &Args) -> Outcome {
    let asked = asked(&args.edge)?;
    let manifest = manifest::load(&args.dir)?;
    let assembly = assembly::assemble(&manifest);
    let palette = Palette::of(&std::io::stdout());
    let Some((caller, target)) = &asked else {
        let declared: Vec<&Edge> = assembly
            .edges
            .iter()
            .filter(|edge| edge.place.is_some())
            .collect();
        if args.json {
            print_json(&declared.into_iter().map(summary).collect::<Value>())?;
        } else {
            print(&render::explain::list(&declared, palette))?;
        }
        return Ok(0);
    };
    let (edge, target) = find(&manifest, &assembly, caller, target)?;
    if args.json {
        print_json(&explained(edge, target))?;
    } else {
        print(&render::explain::edge(edge, target, palette))?;
    }
    Ok(0)
}

/// The caller and the target that the words of the command line name; nothing when there are none.
fn asked(words: &[String]) -> Result<Option<(String, String)>, Failure> {
    let arrow = |word: &str| {
        let (caller, target) = word.split_once("->").or_else(|| word.split_once('→'))?;
        Some((caller.trim().to_owned(), target.trim().to_owned()))
    };
    let edge = match words {
        [] => return Ok(None),
        [word] => arrow(word),
        [caller, target] if arrow(caller).or_else(|| arrow(target)).is_none() => {
            Some((caller.clone(), target.clone()))
        }
        _ => None,
    };
    edge.map(Some).ok_or_else(|| {
        Failure::usage(format!(
            "`{}` is no edge: write one as 'CALLER->TARGET' or as two words, and the folder of the manifest with --dir",
            words.join(" ")
        ))
    })
}

/// The edge from `caller` to `target`, and what protects the target.
fn find<'a>(
    manifest: &Manifest,
    assembly: &'a Assembly,
    caller: &str,
    target: &str,
) -> Result<(&'a Edge, &'a Target), Failure> {
    let edge = assembly
        .edges
        .iter()
        .find(|edge| edge.caller.as_str() == caller && edge.target.as_str() == target);
    let protected = assembly
        .targets
        .iter()
        .find(|known| known.name.as_str() == target);
    if let (Some(edge), Some(protected)) = (edge, protected) {
        return Ok((edge, protected));
    }
    let targets = || assembly.targets.iter().map(|known| known.name.as_str());
    let callers = || assembly.edges.iter().map(|edge| edge.caller.as_str());
    let advice = if !callers().any(|known| known == caller) {
        format!(
            "nobody called `{caller}` calls anyone; {}",
            did_you_mean(caller, distinct(callers()))
        )
    } else if !targets().any(|known| known == target) {
        format!(
            "there is no `{target}`; {}",
            did_you_mean(target, distinct(targets()))
        )
    } else if caller == manifest::INGRESS {
        format!(
            "the front door has no route to `{target}`: give it an `ingress` in {}",
            manifest.file
        )
    } else {
        format!(
            "`{caller}` does not call `{target}`: add it to its `calls` in {}",
            manifest.file
        )
    };
    Err(Failure::usage(advice))
}

fn distinct<'a>(names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut distinct: Vec<&str> = Vec::new();
    for name in names {
        if !distinct.contains(&name) {
            distinct.push(name);
        }
    }
    distinct
}

/// One edge of the list.
fn summary(edge: &Edge) -> Value {
    let policy = &edge.derived.policy;
    json!({
        "caller": edge.caller.as_str(),
        "target": edge.target.as_str(),
        "attempt_timeout": mainstay_base::format_duration(policy.attempt_timeout),
        "deadline": mainstay_base::format_duration(policy.call_timeout),
        "retries": policy.retry.max_retries,
        "priority": edge.priority.as_str(),
        "fallback": fallback(edge),
        "place": edge.place.as_ref().map(ToString::to_string),
    })
}

fn explained(edge: &Edge, target: &Target) -> Value {
    let reason = |reason: &Reason| json!({ "value": reason.value, "sum": reason.sum, "origin": reason.origin.to_string() });
    let line = |name: &str, why: &Reason, overridden: Option<&Reason>| {
        let mut line = reason(why);
        line["name"] = json!(name);
        line["overridden"] = json!(overridden.map(reason));
        line
    };
    let edge_lines = edge.derived.lines().iter();
    let edge_lines = edge_lines.map(|it| line(it.field.name(), &it.reason, it.overridden.as_ref()));
    let target_lines = target.derived.lines().iter();
    let target_lines = target_lines.map(|it| line(it.field.name(), &it.reason, it.overridden.as_ref()));
    json!({
        "caller": edge.caller.as_str(),
        "target": edge.target.as_str(),
        "place": edge.place.as_ref().map(ToString::to_string),
        "priority": edge.priority.as_str(),
        "fallback": fallback(edge),
        "edge": edge_lines.collect::<Value>(),
        "callee": target_lines.collect::<Value>(),
    })
}

fn fallback(edge: &Edge) -> Value {
    match &edge.fallback {
        None => Value::Null,
        Some(Fallback::App(app)) => json!({ "app": app.as_str() }),
        Some(Fallback::Static {
            status,
            content_type,
            body,
        }) => json!({
            "status": status.as_u16(),
            "content_type": String::from_utf8_lossy(content_type.as_bytes()),
            "body": String::from_utf8_lossy(body),
        }),
    }
}

#[cfg(test)]
mod tests;
