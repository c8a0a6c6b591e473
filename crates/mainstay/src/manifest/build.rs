//! From the file to the model: fills in defaults, completes variables, reads env files.

mod archive;
mod cache;
mod supervision;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, StatusCode, Uri};
use mainstay_api::Route;
use mainstay_base::{AppId, Latency};
use mainstay_host::{AppSpec, StopPolicy};
use mainstay_mesh::{AppProtocol, Fallback};
use mainstay_policy::derive::Promise;
use mainstay_secrets::Scopes;

use super::file;
use super::interpolate::interpolate;
use super::model::{App, Call, External, Manifest, StoreLine};
use super::{Parsed, command_line, env_file};
use crate::components::{self, EMBEDDED, Home, StorePlan, spells_out_password};
use crate::diagnostic::{Code, Diagnostic, Diagnostics, Place};
use crate::document;
use crate::resources::{Configuration, Endpoint, HeaderSource, Resources, configuration, header_value};

pub(super) use supervision::{BACKOFF_MAX, BACKOFF_MIN};
use supervision::{needs, restart, signal};

/// Variables that each replica gets its own value of. In a command they are completed when the replica starts.
const REPLICA_VARIABLES: [&str; 8] = [
    "PORT",
    "APP_PORT",
    "APP_ID",
    "DAPR_HTTP_PORT",
    "DAPR_GRPC_PORT",
    "DAPR_HTTP_ENDPOINT",
    "DAPR_GRPC_ENDPOINT",
    "DAPR_API_TOKEN",
];

type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Builds the model; mistakes go to `diagnostics`, and what they concern is left out.
pub(crate) fn build(
    parsed: &Parsed,
    resources: Resources,
    dir: &Path,
    environment: Environment<'_>,
    diagnostics: &mut Diagnostics,
) -> Manifest {
    let mut builder = Builder {
        parsed,
        endpoints: resources.endpoints,
        configurations: resources.configurations,
        dir,
        environment,
        diagnostics,
    };
    let apps = parsed
        .file
        .apps
        .iter()
        .map(|(name, app)| builder.app(name, app))
        .collect();
    let externals = parsed.file.external.iter();
    let mut externals: Vec<External> = externals
        .filter_map(|(name, external)| builder.external(name, external))
        .collect();
    externals.extend(builder.endpoints.drain(..).map(|endpoint| External {
        promise: Promise::nothing(endpoint.name.clone()),
        name: endpoint.name,
        url: endpoint.url,
        headers: endpoint.headers,
        tls: endpoint.tls,
        place: endpoint.place,
    }));
    let name = parsed.file.name.as_ref();
    let name = name.map_or_else(|| folder_name(dir), |name| name.0.to_string());
    let (store, said) = (builder.store(&name), builder.components());
    let (store_line, archive) = (builder.store_line(), builder.archive());
    let configurations = builder.configurations;
    let mut planned = components::plan(resources.components, Home::System, diagnostics);
    components::say(said, &mut planned, diagnostics);
    configuration::check(&configurations, &components::secret_stores(&planned), diagnostics);
    Manifest {
        store,
        archive,
        store_line,
        components: planned,
        name,
        dir: dir.to_path_buf(),
        file: Arc::clone(&parsed.document.file),
        apps,
        externals,
        resiliencies: resources.resiliencies,
        notices: Diagnostics::default(),
    }
}

fn folder_name(dir: &Path) -> String {
    let full = std::fs::canonicalize(dir).unwrap_or_default();
    let name = full.file_name().map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|| "mainstay".to_owned())
}

struct Builder<'a> {
    parsed: &'a Parsed,
    /// Those that no external service of the manifest has taken up yet.
    endpoints: Vec<Endpoint>,
    configurations: Vec<Configuration>,
    dir: &'a Path,
    environment: Environment<'a>,
    diagnostics: &'a mut Diagnostics,
}

impl Builder<'_> {
    fn place(&self, path: &[&str]) -> Place {
        self.parsed.document.find(path)
    }

    fn store(&mut self, system: &str) -> StorePlan {
        let Some(text) = &self.parsed.file.store else {
            return StorePlan::default();
        };
        let place = self.place(&["store"]);
        let text = match interpolate(text, self.environment) {
            Ok(text) => text,
            Err(problem) => {
                let error = Diagnostic::error(Code::UNDEFINED_VARIABLE, place, problem.to_string());
                self.diagnostics
                    .push(error.help("set it in the environment of Mainstay"));
                return StorePlan::default();
            }
        };
        StorePlan::read(&text, system).unwrap_or_else(|(message, help)| {
            let error = Diagnostic::error(Code::OUT_OF_RANGE, place, message).help(help);
            self.diagnostics.push(error);
            StorePlan::default()
        })
    }

    fn store_line(&self) -> StoreLine {
        let (reference, place) = match &self.parsed.file.store {
            None => (EMBEDDED, Place::file(&self.parsed.document.file)),
            Some(text) if spells_out_password(text) => ("", self.place(&["store"])),
            Some(text) => (text.as_str(), self.place(&["store"])),
        };
        StoreLine {
            reference: reference.to_owned(),
            place,
        }
    }

    fn app(&mut self, name: &AppId, app: &file::App) -> App {
        let path = ["apps", name.as_str()];
        let promise = self.promise(name, &["apps", name.as_str(), "sla"], &app.sla);
        let env = self.env(name, app);
        let (replicas, replicas_max) = match &app.replicas {
            None => (1, 1),
            Some(file::Replicas::Fixed(number)) => (*number, *number),
            Some(file::Replicas::Range(range)) => range.0,
        };
        let spec = AppSpec {
            app: name.clone(),
            command: self.command(&app.command, &["apps", name.as_str(), "command"], &env),
            dir: app
                .dir
                .as_ref()
                .map_or_else(|| self.dir.to_path_buf(), |dir| self.dir.join(dir)),
            replicas,
            needs: needs(app),
            probes: self.probes(name, app, &env),
            restart: restart(app),
            stop: StopPolicy {
                signal: signal(app.stop.signal),
                grace: app
                    .stop
                    .grace
                    .as_ref()
                    .map_or(Duration::from_secs(10), |grace| grace.0),
                drain: promise.longest(),
            },
            env,
        };
        let routes = app.ingress.as_ref().map_or(&[][..], |routes| routes.as_slice());
        let route = |route: &file::Ingress| Route {
            host: route.host.clone(),
            path: route.path.clone(),
            app: name.clone(),
        };
        App {
            spec,
            port: app.port,
            protocol: match app.protocol {
                file::Protocol::Http => AppProtocol::Http,
                file::Protocol::H2c => AppProtocol::H2c,
                file::Protocol::Grpc => AppProtocol::Grpc,
            },
            replicas_max,
            routes: routes.iter().map(route).collect(),
            calls: self.calls(name, app),
            promise,
            secret_scopes: self.secret_scopes(name, app),
            place: self.place(&path),
        }
    }

    fn secret_scopes(&mut self, name: &AppId, app: &file::App) -> Scopes {
        let config = app.config.as_deref();
        let named = config.map(|config| (config, self.place(&["apps", name.as_str(), "config"])));
        let place = self.place(&["apps", name.as_str()]);
        let found = configuration::scopes_of(&self.configurations, named, (name.as_str(), &place));
        found.unwrap_or_else(|error| {
            self.diagnostics.push(*error);
            Scopes::default()
        })
    }

    fn promise(&mut self, name: &AppId, path: &[&str], sla: &file::Sla) -> Promise {
        let place = |key: &str| self.place(&[path, &[key]].concat()).short();
        let mut promise = Promise::nothing(name.clone());
        match &sla.latency {
            None => {}
            Some(file::Latency::P99(p99)) => {
                promise = promise.latency(
                    Latency {
                        p99: p99.0,
                        max: None,
                    },
                    &place("latency"),
                );
            }
            Some(file::Latency::Full(full)) => {
                let max = full.max.as_ref().map(|max| max.0);
                promise = promise.latency(Latency { p99: full.p99.0, max }, &place("latency"));
                if max.is_some_and(|max| max < full.p99.0) {
                    let message = "`max` is shorter than `p99`";
                    let place = self.place(&[path, &["latency", "max"]].concat());
                    self.diagnostics
                        .push(Diagnostic::error(Code::OUT_OF_RANGE, place, message).help("swap them"));
                }
            }
        }
        let place = |key: &str| self.place(&[path, &[key]].concat()).short();
        if let Some(availability) = &sla.availability {
            promise = promise.availability(availability.0, &place("availability"));
        }
        if let Some(concurrency) = sla.concurrency {
            promise = promise.concurrency(concurrency, &place("concurrency"));
        }
        promise.priority(sla.priority.map(priority).unwrap_or_default())
    }

    fn env(&mut self, name: &AppId, app: &file::App) -> Vec<(String, String)> {
        let mut env = Vec::new();
        let files = app.env_file.as_ref().map_or(&[][..], |files| files.as_slice());
        for (index, file) in files.iter().enumerate() {
            let path = ["apps", name.as_str(), "env_file", &index.to_string()];
            match document::read(&self.dir.join(file), file) {
                Err(diagnostic) => {
                    let message = format!("the env file {file}: {}", diagnostic.message);
                    let place = self.place(&path);
                    self.diagnostics.push(
                        Diagnostic::error(Code::ENV_FILE, place, message)
                            .help("paths are seen from the manifest's folder"),
                    );
                }
                Ok(text) => match env_file::parse(&text, self.environment) {
                    Ok(variables) => env.extend(variables),
                    Err(problems) => {
                        for (line, problem) in problems {
                            let place = Place {
                                file: file.as_str().into(),
                                line,
                                column: 0,
                            };
                            self.diagnostics
                                .push(Diagnostic::error(Code::ENV_FILE, place, problem));
                        }
                    }
                },
            }
        }
        for (key, value) in app.env.iter() {
            let path = ["apps", name.as_str(), "env", key.as_str()];
            if let Some(value) = self.complete(&value.0, &path, &env) {
                env.push((key.clone(), value));
            }
        }
        env
    }

    /// Completes the variables of a text from `env`, then from the environment; reports what is missing.
    fn complete(&mut self, text: &str, path: &[&str], env: &[(String, String)]) -> Option<String> {
        let environment = self.environment;
        let lookup = |name: &str| {
            if REPLICA_VARIABLES.contains(&name) {
                return Some(format!("${{{name}}}"));
            }
            let own = env.iter().rev().find(|(known, _)| known == name);
            own.map(|(_, value)| value.clone()).or_else(|| environment(name))
        };
        match interpolate(text, &lookup) {
            Ok(text) => Some(text),
            Err(problem) => {
                let help =
                    "set it, give a default like ${NAME:-default}, or write $${NAME} for the text itself";
                let place = self.place(path);
                self.diagnostics
                    .push(Diagnostic::error(Code::UNDEFINED_VARIABLE, place, problem.to_string()).help(help));
                None
            }
        }
    }

    fn command(&mut self, command: &file::Command, path: &[&str], env: &[(String, String)]) -> Vec<String> {
        let words = match command {
            file::Command::List(words) => words.iter().map(|word| word.0.clone()).collect(),
            file::Command::Line(line) => match command_line::split(line) {
                Ok(words) => words,
                Err(problem) => {
                    let message = format!("the command cannot be split: {problem}");
                    let help = "write it as a list, and with a shell where one is meant: [sh, -c, \"…\"]";
                    let place = self.place(path);
                    self.diagnostics
                        .push(Diagnostic::error(Code::COMMAND, place, message).help(help));
                    return Vec::new();
                }
            },
        };
        if words.first().is_none_or(String::is_empty) {
            let place = self.place(path);
            self.diagnostics
                .push(Diagnostic::error(Code::COMMAND, place, "the program has no name"));
        }
        words
            .iter()
            .filter_map(|word| self.complete(word, path, env))
            .collect()
    }

    fn calls(&mut self, name: &AppId, app: &file::App) -> Vec<Call> {
        let plain = file::Call::default();
        let calls: Vec<(&AppId, &file::Call, String)> = match &app.calls {
            file::Calls::List(list) => {
                let items = list.iter().enumerate();
                items
                    .map(|(index, target)| (&target.0, &plain, index.to_string()))
                    .collect()
            }
            file::Calls::Map(map) => {
                let entries = map.iter();
                entries
                    .map(|(target, call)| (target, call.as_ref().unwrap_or(&plain), target.to_string()))
                    .collect()
            }
        };
        calls
            .into_iter()
            .map(|(target, call, key)| Call {
                target: target.clone(),
                fallback: call
                    .fallback
                    .as_ref()
                    .and_then(|fallback| self.fallback(name, target, fallback)),
                hedge: call.hedge,
                priority: call.priority.map(priority),
                per_request: call.per_request.unwrap_or(1),
                parallel: call.parallel,
                cache: call
                    .cache
                    .as_ref()
                    .and_then(|cache| self.cache(&["apps", name.as_str(), "calls", &key, "cache"], cache)),
                place: self.place(&["apps", name.as_str(), "calls", &key]),
            })
            .collect()
    }

    fn fallback(&mut self, name: &AppId, target: &AppId, fallback: &file::Fallback) -> Option<Fallback> {
        if let Some(app) = &fallback.app {
            return Some(Fallback::App(app.0.clone()));
        }
        let content_type = fallback.content_type.as_deref().unwrap_or("application/json");
        let Ok(content_type) = HeaderValue::from_str(content_type) else {
            let place = self.place(&[
                "apps",
                name.as_str(),
                "calls",
                target.as_str(),
                "fallback",
                "content_type",
            ]);
            let message = format!("`{content_type}` is not a content type");
            self.diagnostics.push(
                Diagnostic::error(Code::WRONG_FORM, place, message).help("for example application/json"),
            );
            return None;
        };
        Some(Fallback::Static {
            status: StatusCode::from_u16(fallback.status.unwrap_or(200)).ok()?,
            content_type,
            body: Bytes::from(fallback.body.clone().unwrap_or_default()),
        })
    }

    fn external(&mut self, name: &AppId, external: &file::External) -> Option<External> {
        let path = ["external", name.as_str()];
        let promise = self.promise(name, &["external", name.as_str(), "sla"], &external.sla);
        let mut headers = Vec::new();
        for (key, value) in external.headers.iter() {
            let path = ["external", name.as_str(), "headers", key.as_str()];
            let Some(value) = self.complete(&value.0, &path, &[]) else {
                continue;
            };
            let header = (HeaderName::from_bytes(key.as_bytes()), header_value(&value));
            if let (Ok(key), Some(value)) = header {
                headers.push((key, HeaderSource::Value(value)));
            } else {
                let place = self.place(&path);
                let message = format!("`{key}` with this value is not a header");
                let help = "names are letters, digits and `-`; values have no line breaks";
                self.diagnostics
                    .push(Diagnostic::error(Code::WRONG_FORM, place, message).help(help));
            }
        }
        let endpoint = self.endpoints.iter().position(|endpoint| endpoint.name == *name);
        let endpoint = endpoint.map(|index| self.endpoints.swap_remove(index));
        if let Some(endpoint) = endpoint {
            headers.extend(endpoint.headers);
            return Some(External {
                name: name.clone(),
                url: endpoint.url,
                headers,
                tls: endpoint.tls,
                promise,
                place: self.place(&path),
            });
        }
        let Some(url) = &external.url else {
            let place = self.place(&path);
            let message =
                format!("`external.{name}` needs the key `url`, or a Dapr HTTPEndpoint of its name");
            self.diagnostics
                .push(Diagnostic::error(Code::MISSING_KEY, place, message));
            return None;
        };
        let url = self.complete(url, &["external", name.as_str(), "url"], &[])?;
        let Some(url) = parse_url(&url) else {
            let place = self.place(&["external", name.as_str(), "url"]);
            let message = format!("`{url}` is not the URL of a service");
            self.diagnostics.push(
                Diagnostic::error(Code::WRONG_FORM, place, message)
                    .help("write http:// or https://, a host, and at most a path: https://psp.example/v2"),
            );
            return None;
        };
        Some(External {
            name: name.clone(),
            url,
            headers,
            tls: None,
            promise,
            place: self.place(&path),
        })
    }
}

/// An absolute `http` or `https` URL without user, query and fragment.
pub(crate) fn parse_url(text: &str) -> Option<Uri> {
    let url: Uri = text.parse().ok()?;
    let scheme = matches!(url.scheme_str(), Some("http" | "https"));
    let host = url
        .authority()
        .is_some_and(|authority| !authority.as_str().contains('@') && !authority.host().is_empty());
    (scheme && host && url.query().is_none() && !text.contains('#')).then_some(url)
}

fn priority(priority: file::Priority) -> mainstay_base::Priority {
    match priority {
        file::Priority::Bulk => mainstay_base::Priority::Bulk,
        file::Priority::Low => mainstay_base::Priority::Low,
        file::Priority::Normal => mainstay_base::Priority::Normal,
        file::Priority::Critical => mainstay_base::Priority::Critical,
    }
}
