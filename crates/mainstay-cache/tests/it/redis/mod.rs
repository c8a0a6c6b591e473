//! The store on a real Redis server: the conformance suite, and what happens when the server is not as it should be.

pub(crate) mod server;

use std::net::{Ipv4Addr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mainstay_base::{CacheStatus, ManualClock, SystemClock};
use mainstay_cache::conformance::Subject;
use mainstay_cache::{
    Cache, CacheError, CacheStore, Cached, Loaded, Metrics, Options, Redis, RedisOptions, RedisStore,
    Selection, StoreError, codec, conformance_suite,
};
use rustix::process::Signal;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

use crate::support::{Outcome, Texts, found, metric, options, until, value};
use server::{Server, connected};

struct OnServer {
    _server: Server,
    store: Arc<RedisStore<Bytes>>,
    elsewhere: Arc<RedisStore<Bytes>>,
}

impl Subject for OnServer {
    async fn open() -> Option<Self> {
        let server = Server::start_new().await?;
        Some(Self {
            store: store(server.connect().await),
            elsewhere: store(server.connect().await),
            _server: server,
        })
    }

    fn store(&self) -> Arc<dyn CacheStore<Bytes>> {
        self.store.clone()
    }

    fn elsewhere(&self) -> Arc<dyn CacheStore<Bytes>> {
        self.elsewhere.clone()
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

conformance_suite!(OnServer);

fn store(redis: Redis) -> Arc<RedisStore<Bytes>> {
    Arc::new(RedisStore::new(Arc::new(redis), "test", codec::Raw))
}

/// A cache as a process has one.
struct Process {
    redis: Arc<Redis>,
    cache: Texts,
    metrics: Metrics,
}

impl Process {
    fn new(redis: Redis) -> Self {
        let redis = Arc::new(redis);
        let store = Arc::new(RedisStore::new(redis.clone(), "test", codec::Raw));
        let options = Options {
            clock: Arc::new(SystemClock::new()),
            ..options(store, Arc::new(ManualClock::new()))
        };
        Self {
            metrics: options.metrics.clone(),
            cache: Cache::new(options),
            redis,
        }
    }

    async fn get(&self, loaded: Result<Loaded<Bytes>, &'static str>) -> Outcome {
        self.cache.get_or_load("a", move || async move { loaded }).await
    }

    async fn cached(&self) -> Cached<Bytes> {
        self.get(Err("was not cached")).await.unwrap().shared()
    }

    async fn forget(&self) -> Result<(), StoreError> {
        self.cache.invalidate(Selection::Key("a".to_owned())).await
    }

    fn store_errors(&self) -> u64 {
        metric(&self.metrics, "mainstay_cache_store_errors_total", None)
    }
}

/// The name of the server's key for the entry `a`, and of its numbers.
const ENTRY: &str = "tests:test:e:a";
const NUMBERS: &str = "tests:test:g";

#[tokio::test]
async fn processes_share_what_they_load() {
    let Some(server) = Server::start_new().await else {
        return;
    };
    let (here, there) = (
        Process::new(server.connect().await),
        Process::new(server.connect().await),
    );
    assert_eq!(value(here.get(found("1")).await), "1");
    let cached = there.cached().await;
    assert_eq!(
        (cached.value, cached.status),
        (Bytes::from("1"), CacheStatus::Hit)
    );
    there.forget().await.unwrap();
    assert_eq!(here.get(Err("gone")).await, Err(CacheError::Load("gone")));
}

#[tokio::test]
async fn a_server_that_is_not_there_is_in_nobodys_way() {
    let options = RedisOptions::new("redis+unix:///nowhere/socket", "tests", Handle::current());
    let process = Process::new(Redis::open(options).unwrap());
    for text in ["1", "2"] {
        // Nothing is kept, and nothing fails.
        assert_eq!(value(process.get(found(text)).await), text);
    }
    assert!(process.store_errors() > 0);
    assert_eq!(process.forget().await, Err(StoreError::Unavailable));
}

#[tokio::test]
async fn a_server_may_die_and_come_back() {
    let Some(mut server) = Server::start_new().await else {
        return;
    };
    let process = Process::new(server.connect().await);
    value(process.get(found("1")).await);
    server.kill();
    assert_eq!(value(process.get(found("2")).await), "2");
    until(|| !process.redis.is_connected()).await;
    assert_eq!(value(process.get(found("3")).await), "3");
    server.start().await;
    connected(&process.redis).await;
    assert_eq!(value(process.get(found("4")).await), "4");
    assert_eq!(process.cached().await.value, "4");
}

#[tokio::test]
async fn a_server_that_hangs_is_waited_for_once() {
    let Some(server) = Server::start_new().await else {
        return;
    };
    let limit = Duration::from_millis(100);
    let redis = server.connect_with(RedisOptions {
        operation_timeout: limit,
        ..server.options()
    });
    let store = store(redis.await);
    server.signal(Signal::STOP);
    let first = store.get("a").await;
    assert_eq!(first.failure, Some(StoreError::Timeout(limit)));
    for _ in 0..3 {
        assert_eq!(store.get("a").await.failure, Some(StoreError::Unavailable));
    }
    server.signal(Signal::CONT);
}

#[tokio::test]
async fn an_invalidation_that_failed_is_made_up_for() {
    let Some(server) = Server::start_new().await else {
        return;
    };
    let short = RedisOptions {
        operation_timeout: Duration::from_millis(300),
        ..server.options()
    };
    let process = Process::new(server.connect_with(short).await);
    let other = Process::new(server.connect().await);
    for selection in [
        Selection::Key("a".to_owned()),
        Selection::Prefix("a".to_owned()),
        Selection::All,
    ] {
        connected(&process.redis).await;
        value(other.get(found("1")).await);
        assert_eq!(other.cached().await.value, "1");
        server.signal(Signal::STOP);
        let failed = process.cache.invalidate(selection.clone()).await;
        assert!(failed.is_err());
        // While it is not done, this process does not look at what is there.
        assert_eq!(process.get(Err("gone")).await, Err(CacheError::Load("gone")));
        server.signal(Signal::CONT);
        connected(&process.redis).await;
        assert_eq!(
            process.get(Err("gone")).await,
            Err(CacheError::Load("gone")),
            "{selection:?}"
        );
        assert_eq!(
            other.get(Err("gone")).await,
            Err(CacheError::Load("gone")),
            "{selection:?}"
        );
    }
}

/// Without the server, who asks after an invalidation still does not join a load that began before it.
#[tokio::test]
async fn an_invalidation_counts_even_without_the_server() {
    let options = RedisOptions::new("redis+unix:///nowhere/socket", "tests", Handle::current());
    let process = Arc::new(Process::new(Redis::open(options).unwrap()));
    let (begun, begins) = oneshot::channel();
    let (end, ended) = oneshot::channel();
    let early = tokio::spawn({
        let process = process.clone();
        let loader = move || async move {
            begun.send(()).unwrap();
            ended.await.unwrap();
            found("old")
        };
        async move { process.cache.get_or_load("a", loader).await }
    });
    begins.await.unwrap();
    process.forget().await.unwrap_err();
    assert_eq!(value(process.get(found("new")).await), "new");
    end.send(()).unwrap();
    assert_eq!(value(early.await.unwrap()), "old");
}

#[tokio::test]
async fn many_failed_invalidations_become_one_of_everything() {
    let Some(mut server) = Server::start_new().await else {
        return;
    };
    let process = Process::new(server.connect().await);
    server.kill();
    for index in 0..3_000 {
        let selection = Selection::Key(format!("other/{index}"));
        assert!(process.cache.invalidate(selection).await.is_err());
    }
    server.start().await;
    connected(&process.redis).await;
    let mut client = server.client().await;
    let fields: Vec<String> = redis::cmd("HKEYS")
        .arg(NUMBERS)
        .query_async(&mut client)
        .await
        .unwrap();
    assert!(fields.contains(&"all".to_owned()), "{}", fields.len());
}

#[tokio::test]
async fn what_is_damaged_is_loaded_again() {
    let Some(server) = Server::start_new().await else {
        return;
    };
    let process = Process::new(server.connect().await);
    let mut client = server.client().await;
    value(process.get(found("1")).await);
    let whole: Vec<u8> = redis::cmd("GET")
        .arg(ENTRY)
        .query_async(&mut client)
        .await
        .unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let damaged = [
        Vec::new(),
        b"something else".to_vec(),
        whole[..whole.len() - 1].to_vec(),
        flipped,
    ];
    for (index, bytes) in damaged.into_iter().enumerate() {
        let set = redis::cmd("SET")
            .arg(ENTRY)
            .arg(bytes)
            .arg("PX")
            .arg(60_000)
            .to_owned();
        set.query_async::<()>(&mut client).await.unwrap();
        let errors = process.store_errors();
        assert_eq!(value(process.get(found("2")).await), "2", "{index}");
        assert!(process.store_errors() > errors, "{index}");
        assert_eq!(process.cached().await.value, "2", "{index}");
    }
}

#[tokio::test]
async fn an_entry_of_another_version_is_none() {
    let Some(server) = Server::start_new().await else {
        return;
    };
    let process = Process::new(server.connect().await);
    let mut client = server.client().await;
    value(process.get(found("1")).await);
    let mut newer: Vec<u8> = redis::cmd("GET")
        .arg(ENTRY)
        .query_async(&mut client)
        .await
        .unwrap();
    newer[4] += 1;
    let set = redis::cmd("SET").arg(ENTRY).arg(newer).arg("KEEPTTL").to_owned();
    set.query_async::<()>(&mut client).await.unwrap();
    assert_eq!(value(process.get(found("2")).await), "2");
    assert_eq!(process.store_errors(), 0);
    assert_eq!(process.cached().await.value, "2");
}

/// A server that is full throws keys away, the numbers among them.
#[tokio::test]
async fn what_was_invalidated_stays_so_when_the_numbers_are_lost() {
    let Some(server) = Server::start_new().await else {
        return;
    };
    let process = Process::new(server.connect().await);
    let mut client = server.client().await;
    value(process.get(found("1")).await);
    process.cache.invalidate(Selection::All).await.unwrap();
    redis::cmd("DEL")
        .arg(NUMBERS)
        .query_async::<()>(&mut client)
        .await
        .unwrap();
    assert_eq!(process.get(Err("gone")).await, Err(CacheError::Load("gone")));
    assert_eq!(value(process.get(found("2")).await), "2");
    assert_eq!(process.cached().await.value, "2");
}

#[tokio::test]
async fn a_server_that_is_full_or_read_only_is_in_nobodys_way() {
    let Some(server) = Server::start_new().await else {
        return;
    };
    let process = Process::new(server.connect().await);
    let mut client = server.client().await;
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("maxmemory").arg("1");
    set.query_async::<()>(&mut client).await.unwrap();
    for text in ["1", "2"] {
        assert_eq!(value(process.get(found(text)).await), text);
    }
    assert!(process.store_errors() >= 2);
    assert!(process.redis.is_connected());
}

#[tokio::test]
async fn a_password_is_needed_and_never_shown() {
    let Some(server) = Server::start_new().await else {
        return;
    };
    let mut client = server.client().await;
    let mut set = redis::cmd("CONFIG");
    set.arg("SET").arg("requirepass").arg("s3cret");
    set.query_async::<()>(&mut client).await.unwrap();
    let url = format!("{}?pass=s3cret", server.url());
    let right = RedisOptions {
        url,
        ..server.options()
    };
    assert!(!format!("{right:?}").contains("s3cret"));
    let redis = server.connect_with(right).await;
    assert!(!format!("{redis:?}").contains("s3cret"));
    let without = Process::new(Redis::open(server.options()).unwrap());
    assert_eq!(value(without.get(found("1")).await), "1");
    assert!(!without.redis.is_connected());
}

#[tokio::test]
async fn a_url_that_cannot_be_one_is_refused_without_its_password() {
    for url in [
        "",
        "http://u:s3cret@h/",
        "redis://u:s3cret@h:notaport/",
        "redis://u:s3cret@/x",
    ] {
        let options = RedisOptions::new(url, "tests", Handle::current());
        match Redis::open(options) {
            Ok(_) => panic!("{url} was taken"),
            Err(error) => assert!(!error.to_string().contains("s3cret"), "{error}"),
        }
    }
}

/// A server that speaks TLS at a free port. Another process may take the port in between, so more than one is tried.
async fn start_with_tls() -> Option<(Server, u16, String)> {
    let name = Ipv4Addr::LOCALHOST.to_string();
    let certified = rcgen::generate_simple_self_signed([name]).unwrap();
    let pem = certified.cert.pem();
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let server = Server::start_with(|folder| {
        std::fs::write(folder.join("cert.pem"), &pem).unwrap();
        std::fs::write(folder.join("key.pem"), certified.signing_key.serialize_pem()).unwrap();
        let port = port.to_string();
        let settings = [
            "--bind",
            "127.0.0.1",
            "--tls-port",
            &port,
            "--tls-cert-file",
            "cert.pem",
            "--tls-key-file",
            "key.pem",
            "--tls-auth-clients",
            "no",
        ];
        settings.map(str::to_owned).to_vec()
    });
    Some((server.await?, port, pem))
}

#[tokio::test]
async fn it_speaks_tls_to_whom_it_trusts() {
    let Some((server, port, pem)) = start_with_tls().await else {
        return;
    };
    let url = format!("rediss://127.0.0.1:{port}");
    let trusting = RedisOptions {
        url: url.clone(),
        root_certificates: Some(pem.into_bytes()),
        ..server.options()
    };
    let process = Process::new(server.connect_with(trusting).await);
    assert_eq!(value(process.get(found("1")).await), "1");
    assert_eq!(process.cached().await.value, "1");
    let doubting = RedisOptions {
        url,
        ..server.options()
    };
    let process = Process::new(Redis::open(doubting).unwrap());
    assert_eq!(value(process.get(found("1")).await), "1");
    assert!(!process.redis.is_connected());
}

#[tokio::test]
async fn caches_on_one_server_do_not_meet() {
    let Some(server) = Server::start_new().await else {
        return;
    };
    let redis = Arc::new(server.connect().await);
    let names = ["a", "a:e", "a%3Ae", "A"];
    let caches = names.map(|name| {
        let store = RedisStore::new(redis.clone(), name, codec::Raw);
        Texts::new(options(Arc::new(store), Arc::new(ManualClock::new())))
    });
    for (cache, name) in caches.iter().zip(names) {
        let loaded = move || async move { found(name) };
        let outcome: Outcome = cache.get_or_load("e:k", loaded).await;
        assert_eq!(value(outcome), name);
    }
    caches[0].invalidate(Selection::All).await.unwrap();
    for (index, (cache, name)) in caches.iter().zip(names).enumerate() {
        let outcome: Outcome = cache.get_or_load("e:k", || async { Err("gone") }).await;
        let left = outcome.ok().map(|answer| answer.shared().value);
        assert_eq!(left, (index > 0).then(|| Bytes::from(name)));
    }
}
