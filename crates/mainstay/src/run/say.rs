//! How `run` says what it tells: lines among the log for people, one JSON object per line for programs.

use mainstay_api::wire::{LogLine, System, SystemApp};
use serde::Serialize;

use crate::render::color::{Color, Palette};
use crate::render::log::LogRenderer;
use crate::render::time::span;
use crate::run::announce::Notice;

/// What `--json` prints, told apart by `type`.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Event<'a> {
    /// Everything listens; the apps are being started.
    Started {
        #[serde(flatten)]
        system: &'a System,
    },
    /// A line of output, or something that happened to a replica.
    Log {
        #[serde(flatten)]
        line: &'a LogLine,
    },
    /// Everything has been ready, or has failed for good.
    Up { after_ms: u64, failed: &'a [String] },
    /// These have to end before Mainstay can.
    Stopping { waits_for: &'a [String] },
    /// A second signal: what is left is killed.
    Killing,
    /// Every app has ended by itself.
    AllEnded,
    /// Mainstay ends.
    Stopped { exit_code: u8 },
}

/// The voice of `run`.
#[derive(Debug)]
pub(crate) enum Voice {
    /// For people.
    Text {
        log: LogRenderer,
        palette: Palette,
        /// What other commands need to find this system: ` --dir examples/shop`, or nothing.
        location: String,
        /// A command that explains an edge, when there is one.
        explain: Option<String>,
    },
    /// For programs.
    Json,
}

impl Voice {
    /// Everything listens; the apps are being started.
    pub(crate) fn started(&self, system: &System, warnings: &[String]) -> String {
        match self {
            Self::Json => json(&Event::Started { system }),
            Self::Text { log, .. } => {
                let mut text: String = warnings.iter().map(|warning| log.own(warning)).collect();
                let apps = count(system.apps.len(), "app");
                text += &log.own(&format!(
                    "{}: starting {apps}, control {}",
                    system.name, system.control_url
                ));
                text
            }
        }
    }

    /// A line of the log.
    pub(crate) fn line(&self, line: &LogLine) -> String {
        match self {
            Self::Json => json(&Event::Log { line }),
            Self::Text { log, .. } => log.line(line),
        }
    }

    /// Something worth telling.
    pub(crate) fn notice(&self, notice: &Notice, system: &System) -> String {
        match self {
            Self::Json => json(&match notice {
                Notice::Up { after, failed } => Event::Up {
                    after_ms: after.as_millis() as u64,
                    failed,
                },
                Notice::Stopping(waits_for) => Event::Stopping { waits_for },
                Notice::AllEnded => Event::AllEnded,
            }),
            Self::Text { log, .. } => match notice {
                Notice::Up { after, failed } => {
                    let head = match failed.as_slice() {
                        [] => self.paint(
                            Color::GREEN,
                            &format!("{} is up after {}", system.name, span(*after)),
                        ),
                        failed => self.paint(
                            Color::RED,
                            &format!("{} is up, but {} failed", system.name, failed.join(", ")),
                        ),
                    };
                    let next = self.what_next(system);
                    let lines = [String::new(), head]
                        .into_iter()
                        .chain(next)
                        .chain([String::new()]);
                    lines.map(|line| log.own(&line)).collect()
                }
                Notice::Stopping(names) => {
                    let names = names.join(", ");
                    log.own(&self.paint(
                        Color::YELLOW,
                        &format!("stopping, waiting for {names}; Ctrl-C again kills them"),
                    ))
                }
                Notice::AllEnded => log.own("everything has ended"),
            },
        }
    }

    /// A second signal has come.
    pub(crate) fn killing(&self) -> String {
        match self {
            Self::Json => json(&Event::Killing),
            Self::Text { log, .. } => log.own(&self.paint(Color::RED, "killing what is left")),
        }
    }

    /// The end.
    pub(crate) fn stopped(&self, system: &System, exit_code: u8) -> String {
        match self {
            Self::Json => json(&Event::Stopped { exit_code }),
            Self::Text { log, .. } => log.own(&format!("{} has stopped", system.name)),
        }
    }

    /// Where everything is, and what to try.
    fn what_next(&self, system: &System) -> Vec<String> {
        let Self::Text {
            location, explain, ..
        } = self
        else {
            return Vec::new();
        };
        let urls = |app: &'_ SystemApp| {
            let app = app.clone();
            app.ingress_urls
                .into_iter()
                .map(move |url| (url, format!("goes to {}", app.app)))
        };
        let mut places: Vec<(String, String)> = system.apps.iter().flat_map(urls).collect();
        let first_url = places
            .iter()
            .map(|(url, _)| url)
            .find(|url| !url.contains('*'))
            .cloned();
        places.push((
            system.control_url.clone(),
            "control API; metrics at /metrics".to_owned(),
        ));

        let mut commands = Vec::new();
        commands.extend(first_url.map(|url| (format!("curl {url}"), "call it".to_owned())));
        commands.push((
            format!("mainstay status{location}"),
            "processes, traffic, breakers".to_owned(),
        ));
        // The one whose output answers the call above, where there is one.
        let front = system.apps.iter().find(|app| !app.ingress_urls.is_empty());
        if let Some(app) = front.or(system.apps.first()) {
            let command = format!("mainstay logs -f {}{location}", app.app);
            commands.push((command, "the output of one app".to_owned()));
        }
        commands.extend(
            explain
                .clone()
                .map(|command| (command, "why calls behave as they do".to_owned())),
        );
        commands.push((format!("mainstay stop{location}"), "or Ctrl-C here".to_owned()));

        let width = places
            .iter()
            .chain(&commands)
            .map(|(text, _)| text.len())
            .max()
            .unwrap_or(0);
        let line =
            |(text, what): &(String, String)| format!("  {text:<width$}  {}", self.paint(Color::DIM, what));
        let head = "try next, in another terminal:".to_owned();
        places
            .iter()
            .map(line)
            .chain([head])
            .chain(commands.iter().map(line))
            .collect()
    }

    fn paint(&self, color: Color, text: &str) -> String {
        match self {
            Self::Json => text.to_owned(),
            Self::Text { palette, .. } => palette.paint(color, text),
        }
    }
}

fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        number => format!("{number} {what}s"),
    }
}

fn json(event: &Event<'_>) -> String {
    // Only maps with keys that are no text cannot be written, and there are none.
    serde_json::to_string(event).map_or_else(|_| String::new(), |text| text + "\n")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use expect_test::expect;

    use super::*;

    fn system() -> System {
        let app = |name: &str, urls: &[&str]| SystemApp {
            app: name.to_owned(),
            api_url: "http://127.0.0.1:3500".to_owned(),
            ingress_urls: urls.iter().map(|url| (*url).to_owned()).collect(),
        };
        System {
            name: "shop".to_owned(),
            version: "0.1.0".to_owned(),
            pid: 7,
            started_unix_ms: 0,
            control_url: "http://127.0.0.1:4400".to_owned(),
            ingress_url: Some("http://127.0.0.1:8080".to_owned()),
            apps: vec![app("orders", &[]), app("storefront", &["http://127.0.0.1:8080/"])],
        }
    }

    fn voice() -> Voice {
        Voice::Text {
            log: LogRenderer::new(vec![("storefront".to_owned(), 1)], Palette::PLAIN, false),
            palette: Palette::PLAIN,
            location: " --dir shop".to_owned(),
            explain: Some("mainstay explain 'storefront->orders' --dir shop".to_owned()),
        }
    }

    fn up(failed: &[&str]) -> Notice {
        Notice::Up {
            after: Duration::from_millis(2_340),
            failed: failed.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    #[test]
    fn what_to_try_is_told_once_everything_is_up() {
        expect![[r#"
            mainstay   |
            mainstay   | shop is up after 2.3s
            mainstay   |   http://127.0.0.1:8080/                            goes to storefront
            mainstay   |   http://127.0.0.1:4400                             control API; metrics at /metrics
            mainstay   | try next, in another terminal:
            mainstay   |   curl http://127.0.0.1:8080/                       call it
            mainstay   |   mainstay status --dir shop                        processes, traffic, breakers
            mainstay   |   mainstay logs -f storefront --dir shop            the output of one app
            mainstay   |   mainstay explain 'storefront->orders' --dir shop  why calls behave as they do
            mainstay   |   mainstay stop --dir shop                          or Ctrl-C here
            mainstay   |
        "#]]
        .assert_eq(&voice().notice(&up(&[]), &system()));
    }

    #[test]
    fn failures_and_stops_name_who_it_is() {
        let names = vec!["orders-1".to_owned(), "orders-2".to_owned()];
        let told = [
            voice()
                .notice(&up(&["orders-1"]), &system())
                .lines()
                .take(2)
                .collect::<Vec<_>>()
                .join("\n")
                + "\n",
            voice().notice(&Notice::Stopping(names), &system()),
            voice().killing(),
            voice().stopped(&system(), 0),
        ];
        expect![[r"
            mainstay   |
            mainstay   | shop is up, but orders-1 failed
            mainstay   | stopping, waiting for orders-1, orders-2; Ctrl-C again kills them
            mainstay   | killing what is left
            mainstay   | shop has stopped
        "]]
        .assert_eq(&told.concat());
    }

    #[test]
    fn programs_get_one_object_per_line() {
        let told = [
            Voice::Json.notice(&up(&["orders-1"]), &system()),
            Voice::Json.notice(&Notice::Stopping(vec!["orders-1".to_owned()]), &system()),
            Voice::Json.notice(&Notice::AllEnded, &system()),
            Voice::Json.killing(),
            Voice::Json.stopped(&system(), 1),
        ];
        expect![[r#"
            {"type":"up","after_ms":2340,"failed":["orders-1"]}
            {"type":"stopping","waits_for":["orders-1"]}
            {"type":"all_ended"}
            {"type":"killing"}
            {"type":"stopped","exit_code":1}
        "#]]
        .assert_eq(&told.concat());
    }
}
