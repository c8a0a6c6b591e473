//! Real servers for the components that keep their values on one.

use mainstay_postgres::test_server as postgres;
use mainstay_redis::test_server as redis;

use super::{COMPONENTS, STORES, WITHOUT_QUERY};
use crate::harness::system::Builder;

/// A server that asks for a password, which a secret store knows.
const ON_REDIS: &str = "\
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: secrets }
spec:
  type: secretstores.local.file
  version: v1
  metadata:
  - { name: secretsFile, value: secrets.json }
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: redis }
auth: { secretStore: secrets }
spec:
  type: state.redis
  version: v1
  metadata:
  - { name: redisHost, value: '127.0.0.1:PORT' }
  - { name: redisPassword, secretKeyRef: { name: password, key: password } }
";

/// Both names, both versions.
const ON_POSTGRES: &str = "\
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: postgresql }
spec:
  type: state.postgresql
  version: v2
  metadata:
  - { name: connectionString, value: 'CONNECTION' }
  - { name: tablePrefix, value: shop_ }
---
apiVersion: dapr.io/v1alpha1
kind: Component
metadata: { name: postgres }
spec:
  type: state.postgres
  version: v1
  metadata:
  - { name: connectionString, value: 'CONNECTION' }
  - { name: tableName, value: state }
";

const PASSWORD: &str = "hunter2";

/// The servers that are installed, empty, for one test.
#[derive(Debug)]
pub struct Engines {
    redis: Option<redis::TestServer>,
    postgres: Option<postgres::TestServer>,
}

impl Engines {
    pub async fn start() -> Self {
        let (mut redis, mut postgres) = (None, None);
        if redis::available() {
            redis = Some(redis::TestServer::start_with(&["--requirepass", PASSWORD]).await);
        }
        if postgres::available() {
            postgres = Some(postgres::TestServer::start().await);
        }
        Self { redis, postgres }
    }

    /// Gives a system one component of each kind.
    pub fn add_to(&self, system: Builder) -> Builder {
        let mut components = COMPONENTS.to_owned();
        if let Some(server) = &self.redis {
            components.push_str(&ON_REDIS.replace("PORT", &server.port().to_string()));
        }
        if let Some(server) = &self.postgres {
            components.push_str(&ON_POSTGRES.replace("CONNECTION", &server.connection_string()));
        }
        system
            .file("resources/state.yaml", &components)
            .file("secrets.json", &format!(r#"{{ "password": "{PASSWORD}" }}"#))
    }

    /// The names of those that every app may use.
    pub fn stores(&self) -> String {
        let redis = self.redis.as_ref().map_or("", |_| ",redis");
        let postgres = self.postgres.as_ref().map_or("", |_| ",postgresql,postgres");
        format!("{STORES}{redis}{postgres}")
    }
}

/// Those of them that answer no queries.
pub fn without_query() -> String {
    format!("{WITHOUT_QUERY},redis")
}
