//! Sends spans to a collector, from a thread of its own, so that no call waits for it.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_TYPE, HOST, TE};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderName, Request, Response, Version};
use http_body_util::{BodyExt, Limited};
use prost::Message;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::dial::{self, Connection, Intent};
use crate::http2::Exchange;
use crate::incoming::Incoming;
use crate::origin::Origin;
use crate::otlp;
use crate::span::Spans;
use crate::{Body, TraceExport};

/// How long spans wait at most.
const INTERVAL: Duration = Duration::from_secs(1);
/// Spans in one message.
const BATCH: usize = 512;
/// The time a collector may take for one message (the default of `OTEL_EXPORTER_OTLP_TIMEOUT`).
const TIMEOUT: Duration = Duration::from_secs(10);
/// The most that is read of a collector's answer.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

const HTTP_PATH: PathAndQuery = PathAndQuery::from_static("/v1/traces");
const GRPC_PATH: PathAndQuery =
    PathAndQuery::from_static("/opentelemetry.proto.collector.trace.v1.TraceService/Export");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// The thread that exports.
#[derive(Debug)]
pub(crate) struct Exporter {
    stop: watch::Sender<bool>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Exporter {
    /// Starts to send the spans of `spans` to where `export` says.
    pub(crate) fn start(export: &TraceExport, spans: Arc<Spans>) -> io::Result<Self> {
        let origin = Origin::external(&export.endpoint, None).ok_or_else(|| {
            let message = format!("`{}` is no address of a collector", export.endpoint);
            io::Error::new(io::ErrorKind::InvalidInput, message)
        })?;
        let collector = Collector {
            origin,
            grpc: export.grpc,
            failing: false,
        };
        let (stop, stopped) = watch::channel(false);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new()
            .name("mainstay-spans".to_owned())
            .spawn(move || runtime.block_on(run(collector, spans, stopped)))?;
        Ok(Self {
            stop,
            thread: Mutex::new(Some(thread)),
        })
    }

    /// Sends what is left and ends, at most after `limit`.
    pub(crate) async fn stop(&self, limit: Duration) {
        self.stop.send_replace(true);
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            // A thread that panicked has ended as well.
            let joined = tokio::task::spawn_blocking(move || drop(thread.join()));
            let _ = timeout(limit, joined).await;
        }
    }
}

async fn run(mut collector: Collector, spans: Arc<Spans>, mut stopped: watch::Receiver<bool>) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let is_last = tokio::select! {
            // An error means that the sender is gone: nobody will say more.
            _ = stopped.wait_for(|stop| *stop) => true,
            () = spans.filling.notified() => false,
            () = tokio::time::sleep(INTERVAL) => false,
        };
        while spans.take(BATCH, &mut batch) {
            let delivered = collector
                .deliver(otlp::request(&spans, &batch).encode_to_vec())
                .await;
            spans.give_back(&mut batch, delivered);
        }
        if is_last {
            return;
        }
    }
}

/// Where spans go.
#[derive(Debug)]
struct Collector {
    origin: Origin,
    grpc: bool,
    failing: bool,
}

impl Collector {
    /// Sends one message; says whether it was taken. What is lost is counted, and told when it begins and ends.
    async fn deliver(&mut self, message: Vec<u8>) -> bool {
        let sending = timeout(TIMEOUT, self.send(message)).await;
        let sent = sending.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        match &sent {
            Err(error) if !self.failing => {
                tracing::warn!(collector = %self.origin.authority, %error, "spans are lost: their collector takes none");
            }
            Ok(()) if self.failing => {
                tracing::info!(collector = %self.origin.authority, "the collector takes spans again");
            }
            _ => {}
        }
        self.failing = sent.is_err();
        sent.is_ok()
    }

    /// One connection per message: at one message a second it costs nothing, and there is nothing to go stale.
    async fn send(&self, message: Vec<u8>) -> io::Result<()> {
        let intent = if self.grpc { Intent::Http2 } else { Intent::Any };
        let response = match dial::open(self.origin.place.clone(), intent).await? {
            Connection::Http1(mut sender) => {
                let answer = sender.send_request(self.request(message, false)?).await;
                answer.map_err(io::Error::other)?.map(Incoming::Http1)
            }
            Connection::Http2(sender) => {
                let exchange = Exchange::Begins(sender, self.request(message, true)?);
                // An answer that comes before the end of the request is a refusal.
                let (answer, _upload) = exchange.await?;
                answer.map(Incoming::Http2)
            }
        };
        self.accepted(response).await
    }

    fn request(&self, message: Vec<u8>, is_http2: bool) -> io::Result<Request<Body>> {
        let path = if self.grpc { GRPC_PATH } else { HTTP_PATH };
        let (uri, version) = if is_http2 {
            (self.origin.absolute_form(Some(path), None), Version::HTTP_2)
        } else {
            (self.origin.origin_form(Some(path)), Version::HTTP_11)
        };
        let mut request = Request::post(uri.map_err(io::Error::other)?).version(version);
        if !is_http2 {
            request = request.header(HOST, &self.origin.host);
        }
        let request = if self.grpc {
            let framed = Body::full(grpc_frame(&message));
            request
                .header(CONTENT_TYPE, "application/grpc")
                .header(TE, "trailers")
                .body(framed)
        } else {
            request
                .header(CONTENT_TYPE, "application/x-protobuf")
                .body(Body::full(message))
        };
        request.map_err(io::Error::other)
    }

    async fn accepted(&self, response: Response<Incoming>) -> io::Result<()> {
        let (head, body) = response.into_parts();
        let answer = Limited::new(body, MAX_ANSWER_BYTES)
            .collect()
            .await
            .map_err(io::Error::other)?;
        let code = |headers: &HeaderMap| headers.get(GRPC_STATUS).map(|code| code == "0");
        let accepted = if self.grpc {
            code(&head.headers)
                .or_else(|| code(answer.trailers()?))
                .unwrap_or(false)
        } else {
            head.status.is_success()
        };
        if accepted {
            return Ok(());
        }
        Err(io::Error::other(format!("it answered with {}", head.status)))
    }
}

/// A message as gRPC frames it: not compressed, its length, itself.
fn grpc_frame(message: &[u8]) -> Bytes {
    let mut frame = BytesMut::with_capacity(5 + message.len());
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(message);
    frame.freeze()
}
