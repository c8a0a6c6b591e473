//! The data plane alone as a reverse proxy, to measure it: `proxy LISTEN BACKEND [WORKERS]`, for example
//! `proxy 127.0.0.1:8001 127.0.0.1:8080 1`. The backend speaks HTTP/1.1, or gRPC with `grpc://ADDRESS`; with an
//! `http(s)://` URL it is an external service.

use std::convert::Infallible;
use std::net::SocketAddr;

use http::{Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use mainstay_base::{AppId, Priority, ReplicaId};
use mainstay_mesh::{
    AppProtocol, Body, Call, Caller, EdgeConfig, Endpoint, ExternalConfig, Mesh, MeshOptions, Protocol,
    Target, TargetConfig, Topology,
};
use mainstay_policy::derive::{Promise, derive_edge, derive_target};
use tokio::net::{TcpListener, TcpStream};

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [listen, backend, rest @ ..] = &arguments[..] else {
        return Err("usage: proxy LISTEN BACKEND [WORKERS]".into());
    };
    let workers = rest.first().map_or(Ok(1), |count| count.parse())?;
    let mesh = Mesh::start(MeshOptions {
        workers,
        traces: None,
    })?;
    let protocol = configure(&mesh, backend)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(serve(listen.parse()?, mesh, protocol))
}

fn configure(mesh: &Mesh, backend: &str) -> Result<Protocol, Failure> {
    let (caller, app) = (AppId::new("ingress")?, AppId::new("backend")?);
    let promise = Promise::nothing(app.clone());
    let policy = derive_target(&promise, 1).policy;
    let edges = vec![EdgeConfig {
        caller,
        target: app.clone(),
        policy: derive_edge(&promise, None, None).policy,
        fallback: None,
        priority: Priority::Normal,
    }];
    if backend.starts_with("http") {
        mesh.configure(Topology {
            externals: vec![ExternalConfig {
                tls: None,
                name: app,
                url: backend.parse()?,
                headers: Vec::new(),
                sla: promise.sla,
                policy,
            }],
            edges,
            ..Topology::default()
        });
        return Ok(Protocol::Http);
    }
    let (address, protocol) = match backend.strip_prefix("grpc://") {
        Some(address) => (address, Protocol::Grpc),
        None => (backend, Protocol::Http),
    };
    mesh.configure(Topology {
        targets: vec![TargetConfig {
            app: app.clone(),
            sla: promise.sla,
            policy,
            protocol: match protocol {
                Protocol::Http => AppProtocol::Http,
                Protocol::Grpc => AppProtocol::Grpc,
            },
            token: None,
        }],
        edges,
        ..Topology::default()
    });
    let replica = ReplicaId {
        app: app.clone(),
        index: 1,
    };
    let endpoint = Endpoint {
        replica,
        address: address.parse()?,
    };
    mesh.set_replicas(&app, &[endpoint]);
    Ok(protocol)
}

async fn serve(listen: SocketAddr, mesh: Mesh, protocol: Protocol) -> Result<(), Failure> {
    let caller = mesh.caller(&AppId::new("ingress")?).ok_or("no caller")?;
    let listener = TcpListener::bind(listen).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let stream = stream.into_std()?;
        let (mesh, caller) = (mesh.clone(), caller.clone());
        let workers = mesh.workers().clone();
        workers.spawn(move || async move {
            if let Ok(stream) = TcpStream::from_std(stream) {
                connection(stream, mesh, caller, protocol).await;
            }
        });
    }
}

async fn connection(stream: TcpStream, mesh: Mesh, caller: Caller, protocol: Protocol) {
    let service = service_fn(|request: Request<Incoming>| {
        let (mesh, caller) = (mesh.clone(), caller.clone());
        async move {
            let call = Call {
                caller,
                target: Target::Name("backend".to_owned()),
                request: request.map(Body::from),
                protocol,
                takes_fixed_answer: protocol == Protocol::Http,
            };
            Ok::<_, Infallible>(mesh.call(call).await.unwrap_or_else(|error| {
                let mut response = Response::new(Body::full(error.to_string()));
                *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
                response
            }))
        }
    });
    let builder = auto::Builder::new(TokioExecutor::new());
    // A client that breaks off has nobody to be told to.
    drop(
        builder
            .serve_connection_with_upgrades(TokioIo::new(stream), service)
            .await,
    );
}
