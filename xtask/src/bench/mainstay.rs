//! Mainstay itself, as a participant.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::child::{Child, Core};
use super::client;
use super::lab::{Lab, free_address};
use crate::process::root;

/// A running system.
pub(crate) struct System {
    child: Child,
    control: SocketAddr,
    folder: PathBuf,
    /// The front door.
    pub(crate) ingress: SocketAddr,
}

/// The API of an app.
pub(crate) struct Api {
    pub(crate) address: SocketAddr,
    pub(crate) token: String,
}

impl System {
    /// `mainstay run` with this manifest, in a folder of its own. Returns before the apps are ready.
    pub(crate) fn start(
        lab: &Lab,
        name: &str,
        core: Core,
        manifest: &str,
        env: &[(&str, String)],
    ) -> Result<Self> {
        let manifest = lab.write(&format!("{name}/mainstay.yaml"), manifest)?;
        let (control, ingress) = (free_address()?, free_address()?);
        let folder = manifest.parent().unwrap_or(lab.path()).to_path_buf();
        let shown = folder.display().to_string();
        let binary = root().join("target/release/mainstay").display().to_string();
        let addresses = [control.to_string(), ingress.to_string()];
        let words = [
            &binary,
            "run",
            &shown,
            "--control-addr",
            &addresses[0],
            "--ingress-addr",
            &addresses[1],
            "--json",
        ];
        let child = lab.start(name, core, &words, env)?;
        Ok(Self {
            child,
            control,
            folder,
            ingress,
        })
    }

    /// Waits until the front door answers a `GET` of `path` with 200.
    pub(crate) fn wait(&mut self, path: &str) -> Result<()> {
        self.child.wait_for_http(self.ingress, path)
    }

    /// Where its only app reaches its API, which the app writes into the file `api`: the port and the token.
    pub(crate) fn api(&mut self) -> Result<Api> {
        let file = self.folder.join("api");
        self.child.wait_until("has started its app", || file.exists())?;
        let text = std::fs::read_to_string(file)?;
        let (port, token) = text
            .split_once(' ')
            .context("the app does not say where its API is")?;
        Ok(Api {
            address: (std::net::Ipv4Addr::LOCALHOST, port.parse()?).into(),
            token: token.to_owned(),
        })
    }

    /// CPU time of Mainstay without the apps that it runs.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        self.child.own_cpu()
    }

    /// Memory of Mainstay without the apps that it runs.
    pub(crate) fn resident_bytes(&self) -> Result<u64> {
        self.child.resident_bytes()
    }

    /// Its metrics in Prometheus text form.
    pub(crate) fn metrics(&self) -> Result<String> {
        let token = std::fs::read_to_string(self.folder.join(".mainstay/token"))?;
        let bearer = format!("Bearer {}", token.trim());
        let answer = client::get_with(self.control, "/metrics", &[("authorization", &bearer)])?;
        if answer.status != 200 {
            bail!("the metrics were refused with {}", answer.status);
        }
        Ok(answer.body)
    }
}

/// `mainstay --version`.
pub(crate) fn version() -> Result<String> {
    let binary = root().join("target/release/mainstay");
    Ok(
        crate::process::output(crate::process::tool(binary).arg("--version"))?
            .trim()
            .to_owned(),
    )
}

/// A list of words as YAML, each quoted.
pub(crate) fn yaml_words(words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("{word:?}")).collect();
    format!("[{}]", quoted.join(", "))
}

/// All samples of a metric, added up.
pub(crate) fn prometheus_sum(text: &str, metric: &str) -> u64 {
    let samples = text.lines().filter(|line| {
        line.strip_prefix(metric)
            .is_some_and(|rest| rest.starts_with(['{', ' ']))
    });
    samples
        .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
        .sum::<f64>() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_of_one_metric_are_added_up() {
        let text = "# TYPE calls counter\ncalls{edge=\"a\"} 3\ncalls{edge=\"b\"} 4\ncalls_total 9\ncalls 1\n";
        assert_eq!(prometheus_sum(text, "calls"), 8);
    }
}
