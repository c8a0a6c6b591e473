//! The servers that Mainstay's stores are measured against, told to be as durable as it is.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use super::super::child::{Child, Core};
use super::super::lab::{Lab, free_address};
use crate::process::{output, run, succeeds, tool};

/// `nobody` of Debian: PostgreSQL does not run as root.
const NOBODY: u32 = 65_534;

/// The user of the database.
const USER: &str = "mainstay";

/// A running server.
pub(in crate::bench) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
}

impl Server {
    /// CPU time of all its processes.
    pub(super) fn cpu(&self) -> Result<Duration> {
        self.child.tree_cpu()
    }

    pub(super) fn port(&self) -> String {
        self.address.port().to_string()
    }
}

/// A Redis that syncs its log before it answers, and does nothing else on the side.
pub(super) fn redis(lab: &Lab) -> Result<Server> {
    let address = free_address()?;
    let (port, folder) = (address.port().to_string(), super::empty(lab, "redis")?);
    let folder = folder.display().to_string();
    let words = [
        "redis-server",
        "--bind",
        "127.0.0.1",
        "--port",
        &port,
        "--dir",
        &folder,
        "--appendonly",
        "yes",
        "--appendfsync",
        "always",
        "--auto-aof-rewrite-percentage",
        "0",
        "--save",
        "",
    ];
    let mut child = lab.start("redis", Core::Any, &words, &[])?;
    child.wait_until("takes connections", || TcpStream::connect(address).is_ok())?;
    Ok(Server { child, address })
}

/// An etcd of one node.
pub(super) fn etcd(lab: &Lab) -> Result<Server> {
    let (address, peer) = (free_address()?, free_address()?);
    let folder = super::empty(lab, "etcd")?.display().to_string();
    let [client_url, peer_url] = [address, peer].map(|address| format!("http://{address}"));
    let cluster = format!("default={peer_url}");
    let words = [
        "etcd",
        "--data-dir",
        &folder,
        "--listen-client-urls",
        &client_url,
        "--advertise-client-urls",
        &client_url,
        "--listen-peer-urls",
        &peer_url,
        "--initial-advertise-peer-urls",
        &peer_url,
        "--initial-cluster",
        &cluster,
        "--quota-backend-bytes",
        "8589934592",
    ];
    let mut child = lab.start("etcd", Core::Any, &words, &[])?;
    child.wait_for_http(address, "/health")?;
    Ok(Server { child, address })
}

/// A PostgreSQL with its defaults, save for more connections, memory, and room before a checkpoint.
pub(in crate::bench) fn postgres(lab: &Lab) -> Result<Server> {
    let folder = super::empty(lab, "postgres")?;
    let is_root = rustix::process::geteuid().is_root();
    if is_root {
        chown(&folder, Some(NOBODY), Some(NOBODY))?;
    }
    let words = |program: &str| -> Result<Vec<String>> {
        let demoted: &[&str] = if is_root {
            &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        } else {
            &[]
        };
        // Who changes the user loses the signal that is sent when the parent ends, so it is asked for once more.
        let watched = ["setpriv", "--pdeathsig", "TERM"];
        let program = postgres_program(program)?;
        let words = demoted.iter().chain(&watched).map(|word| (*word).to_owned());
        Ok(words.chain([program]).collect())
    };
    let data = folder.join("data").display().to_string();
    let init = words("initdb")?;
    output(tool(&init[0]).args(&init[1..]).args([
        "--auth=trust",
        "--username",
        USER,
        "--encoding=UTF8",
        "--locale=C",
        "--pgdata",
        &data,
    ]))?;
    let address = free_address()?;
    let (port, folder) = (address.port().to_string(), folder.display().to_string());
    let mut start = words("postgres")?;
    let settings = [
        "listen_addresses=127.0.0.1",
        "synchronous_commit=on",
        "fsync=on",
        "max_connections=200",
        "shared_buffers=512MB",
        "max_wal_size=8GB",
    ];
    start.extend(["-D", &data, "-p", &port, "-k", &folder].map(str::to_owned));
    start.extend(
        settings
            .iter()
            .flat_map(|setting| ["-c".to_owned(), (*setting).to_owned()]),
    );
    let start: Vec<&str> = start.iter().map(String::as_str).collect();
    let mut child = lab.start("postgres", Core::Any, &start, &[])?;
    let ready = postgres_program("pg_isready")?;
    child.wait_until("takes connections", || {
        succeeds(tool(&ready).args(["-h", "127.0.0.1", "-p", &port]))
    })?;
    let server = Server { child, address };
    run(tool(postgres_program("psql")?)
        .args(["--quiet", "--dbname", &postgres_url(&server)])
        .args([
            "-c",
            "CREATE TABLE puts (key text PRIMARY KEY, value text NOT NULL)",
        ]))?;
    Ok(server)
}

/// How to reach it.
pub(in crate::bench) fn postgres_url(server: &Server) -> String {
    format!("postgres://{USER}@{}/postgres", server.address)
}

/// A program of PostgreSQL; Debian keeps those of the server beside the usual path.
pub(in crate::bench) fn postgres_program(name: &str) -> Result<String> {
    let installed = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let mut found: Vec<PathBuf> = installed
        .map(|version| version.path().join("bin").join(name))
        .filter(|path: &PathBuf| Path::exists(path))
        .collect();
    found.sort();
    let path = found
        .pop()
        .with_context(|| format!("PostgreSQL's {name} is not installed"))?;
    Ok(path.display().to_string())
}
