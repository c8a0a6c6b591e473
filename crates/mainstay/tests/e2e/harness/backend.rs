//! A server inside the test: an external service, or a collector of spans.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, request};
use http_body_util::{BodyExt as _, Collected, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A request as it arrived.
pub type Arrived = (request::Parts, Bytes);

/// A connection with or without TLS.
trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Connection for S {}

/// A server that keeps what arrives.
pub struct Backend {
    pub address: SocketAddr,
    arrived: Arc<Mutex<Vec<Arrived>>>,
    task: JoinHandle<()>,
}

impl Backend {
    /// Answers every request with what `answer` makes of it.
    pub async fn start(answer: impl Fn(&Arrived) -> Response<String> + Send + Sync + 'static) -> Self {
        Self::start_on(([127, 0, 0, 1], 0).into(), answer).await
    }

    /// [`Backend::start`] on an address of the caller's choice.
    pub async fn start_on(
        address: SocketAddr,
        answer: impl Fn(&Arrived) -> Response<String> + Send + Sync + 'static,
    ) -> Self {
        Self::serve(address, None, Duration::ZERO, answer).await
    }

    /// [`Backend::start`] behind TLS.
    pub async fn start_tls(
        tls: TlsAcceptor,
        answer: impl Fn(&Arrived) -> Response<String> + Send + Sync + 'static,
    ) -> Self {
        let address = ([127, 0, 0, 1], 0).into();
        Self::serve(address, Some(tls), Duration::ZERO, answer).await
    }

    /// Answers every request after `delay`.
    pub async fn start_slow(delay: Duration) -> Self {
        Self::serve(([127, 0, 0, 1], 0).into(), None, delay, |_| {
            Response::new(String::new())
        })
        .await
    }

    async fn serve(
        address: SocketAddr,
        tls: Option<TlsAcceptor>,
        delay: Duration,
        answer: impl Fn(&Arrived) -> Response<String> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let arrived = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (Arc::clone(&arrived), Arc::new(answer));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                let service = service_fn(move |request: Request<Incoming>| {
                    let (kept, answer) = (Arc::clone(&kept), Arc::clone(&answer));
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await.map(Collected::to_bytes).unwrap_or_default();
                        tokio::time::sleep(delay).await;
                        let arrived = (head, body);
                        let response = answer(&arrived).map(|text| Full::new(Bytes::from(text)));
                        kept.lock().expect("no panic").push(arrived);
                        Ok::<_, Infallible>(response)
                    }
                });
                let tls = tls.clone();
                tokio::spawn(async move {
                    let stream: Box<dyn Connection> = match tls {
                        None => Box::new(stream),
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => Box::new(stream),
                            // The client did not like the certificate.
                            Err(_) => return,
                        },
                    };
                    let server = auto::Builder::new(TokioExecutor::new());
                    // How the connection ends is the client's business.
                    let _ = server.serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        Self {
            address,
            arrived,
            task,
        }
    }

    /// What has arrived so far.
    pub fn arrived(&self) -> Vec<Arrived> {
        self.arrived.lock().expect("no panic").clone()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        self.task.abort();
    }
}
