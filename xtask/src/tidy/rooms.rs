//! The house: which crate may use which. A new arrow or a new holder of a dependency is a decision, made here.

/// A crate of the workspace.
pub(crate) struct Room {
    pub name: &'static str,
    /// Crates of the workspace it may use. They stand further down in the table: an arrow only points down.
    pub uses: &'static [&'static str],
    /// Further ones for its tests alone.
    pub tests_use: &'static [&'static str],
}

/// Top to bottom.
pub(crate) const ROOMS: &[Room] = &[
    Room {
        name: "mainstay",
        uses: &[
            "mainstay-api",
            "mainstay-host",
            "mainstay-mesh",
            "mainstay-configuration",
            "mainstay-lock",
            "mainstay-secrets",
            "mainstay-cache",
            "mainstay-state",
            "mainstay-backup",
            "mainstay-migrate",
            "mainstay-postgres",
            "mainstay-redis",
            "mainstay-store",
            "mainstay-policy",
            "mainstay-base",
        ],
        tests_use: &[],
    },
    Room {
        name: "mainstay-api",
        uses: &[
            "mainstay-host",
            "mainstay-mesh",
            "mainstay-configuration",
            "mainstay-lock",
            "mainstay-secrets",
            "mainstay-cache",
            "mainstay-state",
            "mainstay-backup",
            "mainstay-migrate",
            "mainstay-policy",
            "mainstay-base",
        ],
        tests_use: &["mainstay-store"],
    },
    Room {
        name: "mainstay-host",
        uses: &["mainstay-base"],
        tests_use: &[],
    },
    Room {
        name: "mainstay-mesh",
        uses: &["mainstay-policy", "mainstay-base"],
        tests_use: &[],
    },
    Room {
        name: "mainstay-cache",
        uses: &["mainstay-state", "mainstay-base"],
        tests_use: &["mainstay-store"],
    },
    Room {
        name: "mainstay-state",
        uses: &[
            "mainstay-store",
            "mainstay-postgres",
            "mainstay-redis",
            "mainstay-base",
        ],
        tests_use: &[],
    },
    Room {
        name: "mainstay-lock",
        uses: &["mainstay-store", "mainstay-redis", "mainstay-base"],
        tests_use: &[],
    },
    Room {
        name: "mainstay-configuration",
        uses: &[
            "mainstay-store",
            "mainstay-postgres",
            "mainstay-redis",
            "mainstay-base",
        ],
        tests_use: &[],
    },
    Room {
        name: "mainstay-secrets",
        uses: &["mainstay-store", "mainstay-base"],
        tests_use: &[],
    },
    Room {
        name: "mainstay-backup",
        uses: &["mainstay-store", "mainstay-base"],
        tests_use: &[],
    },
    Room {
        name: "mainstay-migrate",
        uses: &["mainstay-store", "mainstay-base"],
        tests_use: &[],
    },
    Room {
        name: "xtask",
        uses: &["mainstay-store"],
        tests_use: &[],
    },
    Room {
        name: "mainstay-store",
        uses: &["mainstay-base"],
        tests_use: &["mainstay-postgres"],
    },
    Room {
        name: "mainstay-postgres",
        uses: &["mainstay-base"],
        tests_use: &[],
    },
    Room {
        name: "mainstay-redis",
        uses: &["mainstay-base"],
        tests_use: &[],
    },
    Room {
        name: "mainstay-policy",
        uses: &["mainstay-base"],
        tests_use: &[],
    },
    Room {
        name: "mainstay-base",
        uses: &[],
        tests_use: &[],
    },
];

/// Examples are written as a user would write them: without any crate of this workspace.
pub(crate) const EXAMPLES: &str = "examples";

/// A dependency that only some crates may name.
pub(crate) struct Fence {
    pub dependencies: &'static [&'static str],
    /// Who may, in `[dependencies]`.
    pub only: &'static [&'static str],
    /// Whether everybody's tests may.
    pub in_tests: bool,
    pub reason: &'static str,
}

pub(crate) const FENCES: &[Fence] = &[
    Fence {
        dependencies: &["rustls", "rustls-native-certs", "tokio-rustls"],
        only: &[
            "mainstay-mesh",
            "mainstay-store",
            "mainstay-state",
            "mainstay-cache",
            "mainstay-postgres",
            "mainstay-redis",
            "mainstay-backup",
        ],
        in_tests: true,
        reason: "only the mesh opens connections to apps, and an adapter to its engine, so only they need TLS",
    },
    Fence {
        dependencies: &["moka"],
        only: &["mainstay-cache"],
        in_tests: false,
        reason: "only the cache keeps values that may be lost",
    },
    Fence {
        dependencies: &["tokio-postgres", "tokio-postgres-rustls"],
        only: &["mainstay-store", "mainstay-postgres", "mainstay-state"],
        in_tests: false,
        reason: "components reach PostgreSQL in one way, and the store in its own, which shares nothing with theirs",
    },
    Fence {
        dependencies: &["redis"],
        only: &["mainstay-redis", "mainstay-cache"],
        in_tests: false,
        reason: "one place says how Redis is reached and what its errors mean; the cache has its own, which gives up at once",
    },
    Fence {
        dependencies: &["hyper-rustls", "rusty-s3", "url", "zstd"],
        only: &["mainstay-backup"],
        in_tests: false,
        reason: "only backups leave for a bucket, and are compressed",
    },
    Fence {
        dependencies: &["lsm-tree"],
        only: &["mainstay-store"],
        in_tests: false,
        reason: "only the store touches its files",
    },
    Fence {
        dependencies: &["signal-hook"],
        only: &["mainstay-host"],
        in_tests: false,
        reason: "only the guard has to handle signals without a runtime",
    },
    Fence {
        dependencies: &["dapr", "tonic", "tonic-prost"],
        only: &["mainstay-api"],
        in_tests: true,
        reason: "Dapr's messages and gRPC status codes are known in the API alone",
    },
    Fence {
        dependencies: &["opentelemetry-proto"],
        only: &["mainstay-mesh"],
        in_tests: true,
        reason: "spans are exported where they are made",
    },
    Fence {
        dependencies: &["saphyr", "schemars", "strsim"],
        only: &["mainstay"],
        in_tests: false,
        reason: "only the binary reads what a user wrote",
    },
    Fence {
        dependencies: &["clap"],
        only: &["mainstay", "xtask"],
        in_tests: false,
        reason: "only binaries have a command line",
    },
    Fence {
        dependencies: &["anyhow"],
        only: &["mainstay", "xtask"],
        in_tests: true,
        reason: "libraries give errors that a caller can branch on",
    },
    Fence {
        dependencies: &["tracing-subscriber"],
        only: &["mainstay"],
        in_tests: true,
        reason: "libraries emit; the binary decides what becomes of it",
    },
    Fence {
        dependencies: &["axum", "reqwest"],
        only: &[],
        in_tests: true,
        reason: "the runtime speaks HTTP through hyper; these are for examples",
    },
];

/// What a crate must not need at run time, not even through others.
pub(crate) struct Purity {
    pub rooms: &'static [&'static str],
    pub free_of: &'static [&'static str],
    pub reason: &'static str,
}

pub(crate) const PURITIES: &[Purity] = &[
    Purity {
        rooms: &["mainstay-base", "mainstay-policy"],
        free_of: &[
            "tokio",
            "async-std",
            "mio",
            "socket2",
            "hyper",
            "http",
            "http-body",
            "httparse",
            "tonic",
            "serde",
            "serde_json",
            "rustix",
            "libc",
        ],
        reason: "base and policy do no I/O and know no runtime, HTTP or JSON",
    },
    Purity {
        // TLS comes with the store, for its database; naming it is fenced.
        rooms: &["mainstay-state", "mainstay-secrets"],
        free_of: &["hyper", "http", "http-body", "tonic"],
        reason: "a building block knows no wire",
    },
    Purity {
        rooms: &[
            "mainstay-lock",
            "mainstay-configuration",
            "mainstay-postgres",
            "mainstay-redis",
        ],
        free_of: &["hyper", "http", "http-body", "tonic"],
        reason: "a building block knows no wire but that of its engines",
    },
    Purity {
        rooms: &["mainstay-cache"],
        free_of: &["hyper", "tonic"],
        reason: "the cache judges requests and answers, and serves none",
    },
    Purity {
        rooms: &["mainstay-host"],
        free_of: &["hyper", "http", "http-body", "tonic", "rustls"],
        reason: "the host knows processes, not the network",
    },
];
