//! The manifest as the rest of the binary uses it: everything read, every default filled in.

use std::path::PathBuf;
use std::sync::Arc;

use http::{HeaderName, Uri};
use mainstay_api::Route;
use mainstay_base::{AppId, Priority};
use mainstay_host::AppSpec;
use mainstay_mesh::{AppProtocol, Fallback};
use mainstay_policy::derive::Promise;
use mainstay_secrets::Scopes;

use crate::archive::ArchivePlan;
use crate::components::{Planned, StorePlan};
use crate::diagnostic::{Diagnostics, Place};
use crate::resources::{HeaderSource, Resiliency, TlsSource};

/// A manifest without mistakes.
#[derive(Debug)]
pub(crate) struct Manifest {
    /// The name of the system.
    pub(crate) name: String,
    /// The manifest's folder; paths of the manifest start here.
    pub(crate) dir: PathBuf,
    /// The manifest's file name, as messages show it.
    pub(crate) file: Arc<str>,
    /// What is run, in the order of the file.
    pub(crate) apps: Vec<App>,
    /// What is only called: of the manifest and of Dapr `HTTPEndpoint`s.
    pub(crate) externals: Vec<External>,
    /// Where everything durable lies.
    pub(crate) store: StorePlan,
    /// Where changes of the store are archived.
    pub(crate) archive: Option<ArchivePlan>,
    /// How that is written, and where; without a secret, or empty.
    pub(crate) store_line: StoreLine,
    /// What apps may use besides each other: of Dapr Components, and what is there without them.
    pub(crate) components: Vec<Planned>,
    /// What Dapr Resiliency resources say.
    pub(crate) resiliencies: Vec<Resiliency>,
    /// Warnings and notes: what the user should know although it works.
    pub(crate) notices: Diagnostics,
}

/// The line that names the store.
#[derive(Clone, Debug)]
pub(crate) struct StoreLine {
    /// What it says before variables are replaced; empty when it spells out a password.
    pub(crate) reference: String,
    /// Where it is; the whole file when there is none.
    pub(crate) place: Place,
}

/// An app.
#[derive(Debug)]
pub(crate) struct App {
    /// What is run. `spec.stop.drain` is the SLA's (twice its p99, or its `max`).
    pub(crate) spec: AppSpec,
    /// The port it listens on; a free one is chosen when absent.
    pub(crate) port: Option<u16>,
    /// What it speaks.
    pub(crate) protocol: AppProtocol,
    /// The largest number of replicas; `spec.replicas` is the smallest and the one that is run.
    pub(crate) replicas_max: u32,
    /// What the front door gives to it.
    pub(crate) routes: Vec<Route>,
    /// Whom it calls, in the order of the file.
    pub(crate) calls: Vec<Call>,
    /// What it promises.
    pub(crate) promise: Promise,
    /// Which secrets it may read.
    pub(crate) secret_scopes: Scopes,
    /// Where its name is written.
    pub(crate) place: Place,
}

impl App {
    /// Its name.
    pub(crate) fn id(&self) -> &AppId {
        &self.spec.app
    }
}

/// A call that an app may make.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    /// An app or an external service.
    pub(crate) target: AppId,
    /// What is answered when there is no answer.
    pub(crate) fallback: Option<Fallback>,
    /// Whether a second attempt may be sent when the first is slow.
    pub(crate) hedge: bool,
    /// Who is served first; the caller's own priority when absent.
    pub(crate) priority: Option<Priority>,
    /// How often it is made for one request.
    pub(crate) per_request: u32,
    /// Whether it is made at the same time as the other parallel ones.
    pub(crate) parallel: bool,
    /// Whether and how its answers are kept.
    pub(crate) cache: Option<CachePlan>,
    /// Where it is written.
    pub(crate) place: Place,
}

/// How answers are kept.
#[derive(Clone)]
pub(crate) struct CachePlan {
    /// For how long.
    pub(crate) settings: mainstay_cache::Settings,
    /// The URL of the Redis that keeps them; this process when absent. It may hold a password.
    pub(crate) redis: Option<String>,
}

impl std::fmt::Debug for CachePlan {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("CachePlan")
            .field("settings", &self.settings)
            .field("on_redis", &self.redis.is_some())
            .finish()
    }
}

/// A service that is called and not run.
#[derive(Debug)]
pub(crate) struct External {
    /// Its name.
    pub(crate) name: AppId,
    /// Where it is.
    pub(crate) url: Uri,
    /// Headers added to every request.
    pub(crate) headers: Vec<(HeaderName, HeaderSource)>,
    /// What is special about its TLS.
    pub(crate) tls: Option<TlsSource>,
    /// What it promises.
    pub(crate) promise: Promise,
    /// Where it is written.
    pub(crate) place: Place,
}
