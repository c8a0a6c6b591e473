//! State, settings and secrets through the command line and through apps, and the official SDKs on locks, settings and
//! secrets.

mod config;
mod scopes;
mod sdk;
mod secret;
mod state;

/// A system of one app.
const MANIFEST: &str = "apps: { app: { command: [testapp], ingress: {} } }";
