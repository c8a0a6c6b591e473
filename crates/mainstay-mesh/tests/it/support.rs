//! A mesh with one callee, and apps that answer as a test wants.

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Request, Response};
use http_body::Frame;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mainstay_base::{AppId, Priority, ReplicaId, Sla};
use mainstay_mesh::{
    AppProtocol, Body, Call, CallError, EdgeConfig, EdgeReport, Endpoint, Mesh, MeshOptions, Protocol,
    Target, TargetConfig, TargetReport, Topology,
};
use mainstay_policy::breaker::{BreakerPolicy, Trip};
use mainstay_policy::budget::BudgetPolicy;
use mainstay_policy::ejection::EjectionPolicy;
use mainstay_policy::gate::QueuePolicy;
use mainstay_policy::limiter::LimitPolicy;
use mainstay_policy::retry::{Backoff, RetryOn, RetryPolicy};
use mainstay_policy::{EdgePolicy, TargetPolicy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinSet;

/// Long enough for everything that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

pub(crate) fn app(name: &str) -> AppId {
    AppId::new(name).unwrap()
}

pub(crate) fn edge_policy() -> EdgePolicy {
    EdgePolicy {
        attempt_timeout: Duration::from_secs(2),
        call_timeout: Duration::from_secs(5),
        slow_after: Duration::from_secs(1),
        retry: RetryPolicy {
            max_retries: 2,
            backoff: Backoff::FullJitter {
                base: Duration::from_millis(1),
                cap: Duration::from_millis(5),
            },
            min_left: Duration::from_millis(1),
            retry_on: RetryOn::Failures,
        },
        budget: BudgetPolicy {
            ratio: 0.2,
            min_per_second: 10.0,
            window: Duration::from_secs(10),
        },
        breaker: BreakerPolicy {
            trip: Trip::Never,
            window: Duration::from_secs(10),
            open_min: Duration::from_secs(1),
            open_max: Duration::from_secs(30),
            ramp: Duration::from_secs(10),
        },
        hedge: None,
    }
}

pub(crate) fn target_policy() -> TargetPolicy {
    TargetPolicy {
        limit: LimitPolicy {
            initial: 100,
            min: 1,
            max: 1000,
            latency: Duration::from_secs(1),
        },
        queue: QueuePolicy {
            max_waiting: 100,
            target: Duration::from_millis(5),
            interval: Duration::from_millis(100),
        },
        ejection: EjectionPolicy {
            consecutive_failures: 5,
            min_success_ratio: 0.5,
            min_calls: 20,
            window: Duration::from_secs(10),
            eject_min: Duration::from_secs(5),
            eject_max: Duration::from_mins(5),
        },
        drain: Duration::from_secs(1),
    }
}

pub(crate) fn target(name: &str) -> TargetConfig {
    TargetConfig {
        app: app(name),
        sla: Sla::default(),
        policy: target_policy(),
        protocol: AppProtocol::Http,
        token: None,
    }
}

pub(crate) fn edge(caller: &str, target: &str) -> EdgeConfig {
    EdgeConfig {
        caller: app(caller),
        target: app(target),
        policy: edge_policy(),
        fallback: None,
        priority: Priority::Normal,
    }
}

/// `front` may call `back`.
pub(crate) fn topology() -> Topology {
    Topology {
        targets: vec![target("back")],
        edges: vec![edge("front", "back")],
        ..Topology::default()
    }
}

/// A running mesh.
pub(crate) struct TestMesh {
    pub(crate) mesh: Mesh,
}

impl TestMesh {
    pub(crate) fn start(topology: Topology) -> Self {
        let options = MeshOptions {
            workers: 2,
            traces: None,
        };
        let mesh = Mesh::start(options).unwrap();
        mesh.configure(topology);
        Self { mesh }
    }

    /// A mesh on which `front` may call `back`, whose replicas listen at `addresses`.
    pub(crate) fn with_replicas(addresses: &[SocketAddr]) -> Self {
        let this = Self::start(topology());
        this.set_replicas("back", addresses);
        this
    }

    pub(crate) fn set_replicas(&self, name: &str, addresses: &[SocketAddr]) {
        let endpoints: Vec<_> = (1..)
            .zip(addresses)
            .map(|(index, address)| Endpoint {
                replica: ReplicaId {
                    app: app(name),
                    index,
                },
                address: *address,
            })
            .collect();
        self.mesh.set_replicas(&app(name), &endpoints);
    }

    /// Runs `future` on a worker, where connections are found again.
    pub(crate) async fn on_worker(&self, future: impl Future<Output = ()> + Send + 'static) {
        let (done, ended) = tokio::sync::oneshot::channel();
        self.mesh.workers().spawn(move || async move {
            future.await;
            let _ = done.send(());
        });
        // A failed assertion drops the sender.
        tokio::time::timeout(PATIENCE, ended).await.unwrap().unwrap();
    }

    /// What is known of the only edge.
    pub(crate) fn edge(&self) -> EdgeReport {
        let report = self.mesh.report();
        let mut edges = report.edges.into_iter();
        edges.find(|edge| edge.target == app("back")).unwrap()
    }

    /// What is known of `back`.
    pub(crate) fn target(&self) -> TargetReport {
        let report = self.mesh.report();
        let mut targets = report.targets.into_iter();
        targets.find(|target| target.app == app("back")).unwrap()
    }

    pub(crate) async fn call(&self, request: Request<Body>) -> Result<Response<Body>, CallError> {
        self.call_as("front", "back", request, Protocol::Http).await
    }

    pub(crate) async fn call_as(
        &self,
        caller: &str,
        target: &str,
        request: Request<Body>,
        protocol: Protocol,
    ) -> Result<Response<Body>, CallError> {
        let call = Call {
            caller: self.mesh.caller(&app(caller)).unwrap(),
            target: Target::Name(target.to_owned()),
            request,
            protocol,
            takes_fixed_answer: protocol == Protocol::Http,
        };
        tokio::time::timeout(PATIENCE, self.mesh.call(call))
            .await
            .unwrap()
    }
}

pub(crate) fn get(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

pub(crate) fn post(path: &str, body: &'static str) -> Request<Body> {
    Request::post(path).body(Body::boxed(Full::from(body))).unwrap()
}

pub(crate) async fn text(response: Response<Body>) -> String {
    let collected = tokio::time::timeout(PATIENCE, response.into_body().collect()).await;
    String::from_utf8(collected.unwrap().unwrap().to_bytes().to_vec()).unwrap()
}

/// What a test app answers with.
pub(crate) type Answer = Response<Full<Bytes>>;

pub(crate) fn answer(status: u16, body: &'static str) -> Answer {
    Response::builder().status(status).body(Full::from(body)).unwrap()
}

/// A body that comes from a channel and ends with it.
pub(crate) struct Channel(UnboundedReceiver<Frame<Bytes>>);

/// A body and the way to feed it.
pub(crate) fn channel() -> (UnboundedSender<Frame<Bytes>>, Channel) {
    let (sender, receiver) = unbounded_channel();
    (sender, Channel(receiver))
}

pub(crate) fn data(text: &'static str) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(text.as_bytes()))
}

impl http_body::Body for Channel {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.0.poll_recv(context).map(|frame| frame.map(Ok))
    }
}

/// The next piece of data of a body.
pub(crate) async fn next<B>(body: &mut B) -> Option<String>
where
    B: http_body::Body<Data = Bytes, Error: std::fmt::Debug> + Unpin,
{
    let frame = tokio::time::timeout(PATIENCE, body.frame()).await.unwrap()?;
    let data = frame.unwrap().into_data().unwrap();
    Some(String::from_utf8(data.to_vec()).unwrap())
}

/// An app that counts its requests; it stops when dropped.
pub(crate) struct App {
    pub(crate) address: SocketAddr,
    requests: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

impl App {
    /// Answers over HTTP/1.1 or HTTP/2, whatever it is spoken to.
    pub(crate) async fn http<F, Fut, B>(answer: F) -> Self
    where
        F: Fn(Request<Incoming>) -> Fut + Clone + Send + Sync + 'static,
        Fut: Future<Output = Response<B>> + Send + 'static,
        B: http_body::Body<Data = Bytes, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    {
        let requests = Arc::new(AtomicUsize::new(0));
        let counted = requests.clone();
        let mut app = Self::raw(move |stream| {
            let (answer, counted) = (answer.clone(), counted.clone());
            async move {
                let service = service_fn(move |request| {
                    counted.fetch_add(1, Ordering::Relaxed);
                    let answer = answer(request);
                    async move { Ok::<_, Infallible>(answer.await) }
                });
                let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
                let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
                let _ = connection.await;
            }
        })
        .await;
        app.requests = requests;
        app
    }

    /// Always answers the same.
    pub(crate) async fn fixed(status: u16, body: &'static str) -> Self {
        Self::http(move |_| async move { answer(status, body) }).await
    }

    /// Reads a request head, sends `bytes` and closes.
    pub(crate) async fn scripted(bytes: &'static [u8]) -> Self {
        Self::raw(move |mut stream| async move {
            let mut head = [0; 4096];
            let _ = stream.read(&mut head).await;
            let _ = stream.write_all(bytes).await;
        })
        .await
    }

    /// Does with each connection what it likes.
    pub(crate) async fn raw<F, Fut>(serve: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(AtomicUsize::new(0));
        let accepted = requests.clone();
        let mut server = JoinSet::new();
        server.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                accepted.fetch_add(1, Ordering::Relaxed);
                connections.spawn(serve(stream));
            }
        });
        Self {
            address,
            requests,
            _server: server,
        }
    }

    /// Requests for an HTTP app, connections for a raw one.
    pub(crate) fn count(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }
}

/// An address at which nobody listens.
pub(crate) async fn closed_port() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

/// Waits for something to become true.
pub(crate) async fn eventually(what: &str, mut is_true: impl FnMut() -> bool) {
    let waiting = async {
        while !is_true() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, waiting).await.is_ok(), "{what}");
}
