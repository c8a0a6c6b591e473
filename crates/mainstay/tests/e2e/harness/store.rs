//! The stores that systems lie on.

use mainstay_postgres::test_server::{TestServer, available, shared};

use super::system::{Builder, System};

/// Where a system keeps what has to last.
#[derive(Clone, Copy, Debug)]
pub enum Store {
    Embedded,
    Postgres(&'static TestServer),
}

impl Store {
    /// In a database that all tests share, each with a schema of its own, which is named after its folder; `None` where
    /// PostgreSQL is not installed.
    pub async fn postgres() -> Option<Self> {
        if !available() {
            return None;
        }
        Some(Self::Postgres(shared().await))
    }
}

impl System {
    /// Puts a system together on this store. Which one it is, is one line of the manifest.
    pub fn on(store: Store, manifest: &str) -> Builder {
        let manifest = format!("store: ${{STORE:-embedded}}\n{manifest}");
        let system = Self::with(&manifest);
        match store {
            Store::Embedded => system,
            Store::Postgres(server) => system.env("STORE", &server.url()),
        }
    }
}

/// Makes tests of functions that take a [`Store`]: one on each store, which its name says.
macro_rules! on_each_store {
    ($($name:ident),+ $(,)?) => {
        mod embedded {
            $(
                #[tokio::test]
                async fn $name() {
                    super::$name($crate::harness::Store::Embedded).await;
                }
            )+
        }

        mod postgres {
            $(
                #[tokio::test]
                async fn $name() {
                    if let Some(store) = $crate::harness::Store::postgres().await {
                        super::$name(store).await;
                    }
                }
            )+
        }
    };
}

pub(crate) use on_each_store;
