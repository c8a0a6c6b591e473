//! A data plane with the servers under test, and apps that answer as a test wants.

use std::convert::Infallible;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dapr::dapr::proto::runtime::v1::dapr_client::DaprClient;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use mainstay_api::{
    About, AppMetadata, AppServerOptions, AppToken, Blocks, Limits, Metrics, Server, serve_app,
};
use mainstay_base::metric::{Collect, Descriptor, Histogram, Visitor};
use mainstay_base::{AppId, Priority, ReplicaId, Sla};
use mainstay_mesh::{
    AppProtocol, Body, EdgeConfig, Endpoint, ExternalConfig, Mesh, MeshOptions, TargetConfig, Topology,
    client,
};
use mainstay_policy::derive::{Promise, derive_edge, derive_target};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::transport::Channel;

/// Long enough for everything that must happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for `future`, but not for ever.
pub(crate) async fn in_time<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it must happen")
}

pub(crate) fn app_id(name: &str) -> AppId {
    AppId::new(name).unwrap()
}

/// What is said of a component of this type.
pub(crate) fn about(kind: &str) -> About {
    About {
        kind: kind.to_owned(),
        version: "v1".to_owned(),
        meter: Metrics::default().meter("component", kind),
    }
}

/// A listener on a free port of this machine.
pub(crate) fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap()
}

/// An app to be called.
pub(crate) struct Callee {
    pub(crate) name: &'static str,
    pub(crate) protocol: AppProtocol,
    pub(crate) address: SocketAddr,
    pub(crate) token: Option<&'static str>,
}

impl Callee {
    pub(crate) fn new(name: &'static str, protocol: AppProtocol, address: SocketAddr) -> Self {
        Self {
            name,
            protocol,
            address,
            token: None,
        }
    }

    pub(crate) fn http(name: &'static str, address: SocketAddr) -> Self {
        Self::new(name, AppProtocol::Http, address)
    }
}

/// A data plane in which `front` and `door` may call every callee.
pub(crate) fn mesh(callees: &[Callee], externals: Vec<ExternalConfig>) -> Mesh {
    let workers = 2;
    let mesh = Mesh::start(MeshOptions {
        workers,
        traces: None,
    })
    .unwrap();
    let front = Callee::http("front", SocketAddr::from((Ipv4Addr::LOCALHOST, 9)));
    let target = |callee: &Callee| TargetConfig {
        app: app_id(callee.name),
        sla: Sla::default(),
        policy: derive_target(&Promise::nothing(app_id(callee.name)), 1).policy,
        protocol: callee.protocol,
        token: callee.token.map(|token| token.parse().unwrap()),
    };
    let names = callees
        .iter()
        .map(|callee| app_id(callee.name))
        .chain(externals.iter().map(|external| external.name.clone()));
    let edges = names.flat_map(|name| {
        ["front", "door"].map(|caller| EdgeConfig {
            caller: app_id(caller),
            target: name.clone(),
            policy: derive_edge(&Promise::nothing(name.clone()), None, None).policy,
            fallback: None,
            priority: Priority::Normal,
        })
    });
    mesh.configure(Topology {
        edges: edges.collect(),
        targets: callees.iter().chain([&front]).map(target).collect(),
        externals,
        undeclared: None,
    });
    for callee in callees {
        let app = app_id(callee.name);
        let replica = ReplicaId { app, index: 1 };
        let address = callee.address;
        mesh.set_replicas(
            &replica.app,
            &[Endpoint {
                replica: replica.clone(),
                address,
            }],
        );
    }
    mesh
}

/// The API of the app `front`.
pub(crate) struct Front {
    pub(crate) address: SocketAddr,
    pub(crate) server: Server,
    pub(crate) shutdowns: Arc<AtomicUsize>,
    pub(crate) metrics: Metrics,
}

impl Front {
    pub(crate) fn start(callees: &[Callee]) -> Self {
        Self::start_with(callees, |_| ())
    }

    pub(crate) fn with_token(callees: &[Callee]) -> Self {
        Self::start_with(callees, |options| options.token = Some(AppToken::new("secret")))
    }

    pub(crate) fn start_with(callees: &[Callee], change: impl FnOnce(&mut AppServerOptions)) -> Self {
        Self::on(mesh(callees, Vec::new()), change)
    }

    pub(crate) fn on(mesh: Mesh, change: impl FnOnce(&mut AppServerOptions)) -> Self {
        let shutdowns = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&shutdowns);
        let metrics = Metrics::default();
        let mut options = AppServerOptions {
            app: app_id("front"),
            token: None,
            limits: Limits::default(),
            ready: Arc::new(|| true),
            shutdown: Arc::new(move || {
                counted.fetch_add(1, Ordering::SeqCst);
            }),
            metadata: AppMetadata::default(),
            blocks: Arc::new(Blocks::default()),
            caches: Arc::default(),
            metrics: metrics.clone(),
        };
        change(&mut options);
        let server = serve_app(listener(), options, mesh).unwrap();
        Self {
            address: server.address(),
            server,
            shutdowns,
            metrics,
        }
    }

    /// How many requests were refused for `reason`.
    pub(crate) fn refused(&self, reason: &str) -> f64 {
        let mut found = Found {
            labels: ["app", reason],
            value: 0.0,
        };
        self.metrics.collect(&mut found);
        found.value
    }

    pub(crate) fn shutdowns(&self) -> usize {
        self.shutdowns.load(Ordering::SeqCst)
    }

    /// Sends one request over HTTP/1.1.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        send(self.address, request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(request(Method::GET, path, &[])).await
    }

    /// Sends a request with a body.
    pub(crate) async fn ask(&self, method: Method, path: &str, body: impl Into<Bytes>) -> Answer {
        self.ask_with(method, path, &[], body).await
    }

    /// The same with headers.
    pub(crate) async fn ask_with(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let mut asked = request(method, path, headers);
        *asked.body_mut() = Body::full(body);
        self.send(asked).await
    }

    /// A client for gRPC.
    pub(crate) async fn client(&self) -> DaprClient<Channel> {
        let address = format!("http://{}", self.address);
        in_time(DaprClient::connect(address)).await.unwrap()
    }
}

/// Looks for one value of the refused requests.
struct Found<'a> {
    labels: [&'a str; 2],
    value: f64,
}

impl Visitor for Found<'_> {
    fn value(&mut self, descriptor: &'static Descriptor, labels: &[&str], value: f64) {
        if descriptor.name == "mainstay_api_refused_requests_total" && labels == self.labels {
            self.value = value;
        }
    }

    fn histogram(&mut self, _: &'static Descriptor, _: &[&str], _: &Histogram) {}
}

/// An answer that was read whole.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// Status and body, as most tests compare them.
    pub(crate) fn told(&self) -> (u16, &str) {
        (self.status.as_u16(), &self.body)
    }
}

pub(crate) async fn send(address: SocketAddr, mut request: Request<Body>) -> Answer {
    let host = address.to_string().parse().unwrap();
    request.headers_mut().entry(http::header::HOST).or_insert(host);
    let response = in_time(client::send(address, request)).await.unwrap();
    read(response).await
}

pub(crate) async fn read<B>(response: Response<B>) -> Answer
where
    B: http_body::Body<Data = Bytes, Error: std::fmt::Debug>,
{
    let (head, body) = response.into_parts();
    let bytes = in_time(body.collect()).await.unwrap().to_bytes();
    Answer {
        status: head.status,
        headers: head.headers,
        body: String::from_utf8(bytes.to_vec()).unwrap(),
    }
}

pub(crate) fn request(method: Method, path: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

/// Starts an app that speaks HTTP/1.1 and HTTP/2 and answers with `answer`.
pub(crate) async fn app<F, R>(answer: F) -> SocketAddr
where
    F: Fn(Request<Incoming>) -> R + Clone + Send + Sync + 'static,
    R: Future<Output = Response<Body>> + Send + 'static,
{
    raw_app(move |stream| {
        let answer = answer.clone();
        async move {
            let service = service_fn(move |request| {
                let response = answer(request);
                async move { Ok::<_, Infallible>(response.await) }
            });
            let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            let connection = builder.serve_connection_with_upgrades(TokioIo::new(stream), service);
            let _ = connection.await;
        }
    })
    .await
}

/// Starts an app that does `serve` with each connection: for answers that no HTTP library would give.
pub(crate) async fn raw_app<F, R>(serve: F) -> SocketAddr
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(serve(stream));
        }
    });
    address
}

/// An app that answers with what it was asked: request line, then the headers that matter here, then the body.
pub(crate) async fn echo() -> SocketAddr {
    app(|request| async move {
        let (head, body) = request.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        let mut text = format!("{} {}\n", head.method, head.uri.path_and_query().unwrap());
        let mut headers: Vec<_> = head
            .headers
            .iter()
            .filter(|(name, _)| name.as_str().starts_with("dapr-") || name.as_str().starts_with("x-"))
            .map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()))
            .collect();
        headers.sort();
        text.extend(headers);
        text.push_str(&String::from_utf8_lossy(&body));
        Response::new(Body::full(text))
    })
    .await
}

/// Writes `bytes` on a connection of its own and reads until the server closes it.
pub(crate) async fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    read_to_end(&mut stream).await
}

pub(crate) async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    // A reset after the answer is an end like any other.
    let _ = in_time(stream.read_to_end(&mut answer)).await;
    String::from_utf8_lossy(&answer).into_owned()
}

/// A connection over HTTP/2 with prior knowledge.
pub(crate) async fn http2(address: SocketAddr) -> hyper::client::conn::http2::SendRequest<Body> {
    let stream = TcpStream::connect(address).await.unwrap();
    let io = TokioIo::new(stream);
    let (sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    tokio::spawn(connection);
    sender
}
