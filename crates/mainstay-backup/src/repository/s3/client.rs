//! Requests to an S3 endpoint: signed, each attempt with a deadline, tried again where that can help.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, RANGE, RETRY_AFTER};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rusty_s3::{Bucket, Credentials, Method, S3Action, UrlStyle};
use url::Url;

use super::options::S3Options;
use crate::repository::error::{RepositoryError, Trouble};
use crate::repository::place::InvalidPlace;

/// How often a request is tried.
const ATTEMPTS: u32 = 5;

/// The first wait between two attempts; it doubles.
const FIRST_WAIT: Duration = Duration::from_millis(250);

/// The longest wait, also where the endpoint asks for more.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an attempt may take that sends and gets next to nothing.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// The slowest upload that is waited for.
const SLOWEST_BYTES_PER_SECOND: u64 = 64 * 1_024;

/// How long a signature is good: longer than any attempt.
const SIGNATURE_LIFETIME: Duration = Duration::from_secs(3_600);

/// Largest answer that is no object.
const MAX_ANSWER_BYTES: usize = 8 * 1_024 * 1_024;

/// Speaks with one bucket.
pub(super) struct S3Client {
    bucket: Bucket,
    credentials: Credentials,
    http: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
}

/// What goes with a request beside its signature.
#[derive(Clone, Debug, Default)]
pub(super) struct Extra {
    pub body: Bytes,
    /// From which byte on an object is wanted.
    pub from: u64,
}

/// Why an attempt failed.
enum Failed {
    /// It may go well the next time, not before this wait.
    Now(String, Option<Duration>),
    /// It will not.
    ForGood(Trouble),
}

impl S3Client {
    pub(super) fn new(bucket: &str, options: &S3Options) -> Result<Self, InvalidPlace> {
        let region = options.region.clone().unwrap_or_else(|| "us-east-1".to_owned());
        let (endpoint, style) = match &options.endpoint {
            Some(endpoint) => (endpoint.clone(), UrlStyle::Path),
            // Names with dots are in no certificate of AWS.
            None if bucket.contains('.') => (format!("https://s3.{region}.amazonaws.com"), UrlStyle::Path),
            None => (
                format!("https://s3.{region}.amazonaws.com"),
                UrlStyle::VirtualHost,
            ),
        };
        let wrong = |why: &str| InvalidPlace(format!("`{endpoint}` is no S3 endpoint: {why}"));
        let url = Url::parse(&endpoint).map_err(|error| wrong(&error.to_string()))?;
        let bucket = Bucket::new(url, style, bucket.to_owned(), region);
        let bucket = bucket.map_err(|error| wrong(&error.to_string()))?;
        let (Some(key), Some(secret)) = (&options.access_key, &options.secret_key) else {
            return Err(InvalidPlace(
                "an S3 bucket needs AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment"
                    .to_owned(),
            ));
        };
        let credentials = match &options.session_token {
            Some(token) => Credentials::new_with_token(key, secret, token),
            None => Credentials::new(key, secret),
        };
        let http = connect().map_err(|error| InvalidPlace(format!("TLS cannot be used: {error}")))?;
        Ok(Self {
            bucket,
            credentials,
            http,
        })
    }

    pub(super) const fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    pub(super) const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Sends a request until it is answered well, and gives the answer's head; its body streams. `show` names what is asked
    /// for, for people.
    pub(super) async fn send<'a, A: S3Action<'a>>(
        &self,
        action: &A,
        extra: &Extra,
        show: impl Fn() -> String,
    ) -> Result<Response<Incoming>, RepositoryError> {
        let mut wait = FIRST_WAIT;
        let mut attempt = 1;
        loop {
            let url = action.sign(SIGNATURE_LIFETIME);
            match self.attempt(&url, A::METHOD, extra).await {
                Ok(response) => return Ok(response),
                Err(Failed::Now(reason, at_least)) if attempt < ATTEMPTS => {
                    tracing::debug!(attempt, reason, "an S3 request is tried again");
                    // Between half and all of it, so that many do not come together again.
                    let jittered = wait.mul_f64(0.5 + 0.5 * random_share());
                    tokio::time::sleep(at_least.unwrap_or_default().max(jittered).min(LONGEST_WAIT)).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                    attempt += 1;
                }
                Err(failed) => {
                    let trouble = match failed {
                        Failed::Now(reason, _) => Trouble::Unavailable(reason),
                        Failed::ForGood(trouble) => trouble,
                    };
                    let place = show();
                    return Err(RepositoryError { place, trouble });
                }
            }
        }
    }

    /// [`S3Client::send`], and the body of the answer as text.
    pub(super) async fn ask<'a, A: S3Action<'a>>(
        &self,
        action: &A,
        extra: &Extra,
        show: impl Fn() -> String,
    ) -> Result<String, RepositoryError> {
        let response = self.send(action, extra, &show).await?;
        let text = tokio::time::timeout(ANSWER_TIMEOUT, text(response)).await;
        text.unwrap_or_else(|_| Err("the answer does not end".to_owned()))
            .map_err(|reason| RepositoryError {
                place: show(),
                trouble: Trouble::Unavailable(reason),
            })
    }

    async fn attempt(&self, url: &Url, method: Method, extra: &Extra) -> Result<Response<Incoming>, Failed> {
        let mut request = Request::builder().method(method.to_str()).uri(url.as_str());
        if !extra.body.is_empty() || method == Method::Put {
            request = request.header(CONTENT_LENGTH, extra.body.len());
        }
        if extra.from > 0 {
            request = request.header(RANGE, format!("bytes={}-", extra.from));
        }
        let request = request.body(Full::new(extra.body.clone()));
        let request = request.map_err(|error| Failed::ForGood(Trouble::Refused(error.to_string())))?;
        let sending = Duration::from_secs(extra.body.len() as u64 / SLOWEST_BYTES_PER_SECOND);
        let response = tokio::time::timeout(ANSWER_TIMEOUT + sending, self.http.request(request)).await;
        let response = response.map_err(|_| Failed::Now("no answer in time".to_owned(), None))?;
        let response = response.map_err(|error| Failed::Now(chain(&error), None))?;
        if response.status().is_success() {
            return Ok(response);
        }
        Err(refusal(response).await)
    }
}

fn connect() -> std::io::Result<Client<HttpsConnector<HttpConnector>, Full<Bytes>>> {
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
    tcp.set_nodelay(true);
    let tls = HttpsConnectorBuilder::new()
        .with_provider_and_native_roots(rustls::crypto::ring::default_provider())?
        .https_or_http()
        .enable_http1()
        .wrap_connector(tcp);
    Ok(Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .build(tls))
}

/// What an answer that is no good one means.
async fn refusal(response: Response<Incoming>) -> Failed {
    let status = response.status();
    let wait = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok()?.parse().ok());
    let wait = wait.map(Duration::from_secs);
    let body = tokio::time::timeout(ANSWER_TIMEOUT, text(response)).await;
    let body = body.ok().and_then(Result::ok).unwrap_or_default();
    let told = |tag: &str| between(&body, &format!("<{tag}>"), &format!("</{tag}>"));
    let reason = match (told("Code"), told("Message")) {
        (Some(code), Some(message)) => format!("{code}: {message} ({status})"),
        (Some(code), None) => format!("{code} ({status})"),
        _ => format!("the endpoint answered {status}"),
    };
    match status {
        StatusCode::NOT_FOUND if told("Code").is_none_or(|code| code == "NoSuchKey") => {
            Failed::ForGood(Trouble::NotFound)
        }
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Failed::Now(reason, wait),
        status if status.is_server_error() => Failed::Now(reason, wait),
        _ => Failed::ForGood(Trouble::Refused(reason)),
    }
}

async fn text(response: Response<Incoming>) -> Result<String, String> {
    let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES)
        .collect()
        .await;
    let body = body.map_err(|error| error.to_string())?;
    String::from_utf8(body.to_bytes().to_vec()).map_err(|error| error.to_string())
}

/// What stands between two texts. Error answers are small XML documents of two known tags, which need no reader of XML.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

fn random_share() -> f64 {
    let mut bytes = [0; 2];
    // Without randomness all wait equally long.
    let _ = getrandom::fill(&mut bytes);
    f64::from(u16::from_be_bytes(bytes)) / f64::from(u16::MAX)
}

/// An error with its causes, each once.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.contains(&cause) {
            text
        } else {
            format!("{text}: {cause}")
        }
    })
}

impl fmt::Debug for S3Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("S3Client")
            .field("url", &self.bucket.base_url().as_str())
            .finish_non_exhaustive()
    }
}
