//! Headers between HTTP and gRPC, as Dapr translates them (`pkg/messaging/v1/util.go`).

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName};

/// Headers with a meaning in HTTP itself: in gRPC metadata they get the prefix `dapr-`.
const PERMANENT: [&str; 23] = [
    "accept",
    "accept-charset",
    "accept-language",
    "accept-ranges",
    "cache-control",
    "content-length",
    "content-type",
    "cookie",
    "date",
    "expect",
    "from",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-schedule-tag-match",
    "if-unmodified-since",
    "max-forwards",
    "origin",
    "pragma",
    "referer",
    "via",
    "warning",
];

/// Headers of one connection, which end here.
const HOP_BY_HOP: [&str; 10] = [
    "connection",
    "http2-settings",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// HTTP headers as gRPC metadata.
pub(super) fn http_to_metadata(headers: &HeaderMap) -> HeaderMap {
    translate(headers, |name| {
        if HOP_BY_HOP.contains(&name) {
            None
        } else if PERMANENT.contains(&name) {
            Some(format!("dapr-{name}"))
        } else {
            Some(name.to_owned())
        }
    })
}

/// gRPC metadata as HTTP headers. Binary metadata has no place in HTTP; what belongs to gRPC itself gets the prefix
/// `dapr-`, except for the time that is left, which every hop understands.
pub(super) fn metadata_to_http(metadata: &HeaderMap) -> HeaderMap {
    translate(metadata, |name| {
        let own = [CONTENT_TYPE.as_str(), CONTENT_LENGTH.as_str()];
        if name.ends_with("-bin") || own.contains(&name) || HOP_BY_HOP.contains(&name) {
            None
        } else if name.starts_with("grpc-") && name != "grpc-timeout" {
            Some(format!("dapr-{name}"))
        } else {
            Some(name.to_owned())
        }
    })
}

fn translate(headers: &HeaderMap, rename: impl Fn(&str) -> Option<String>) -> HeaderMap {
    let mut translated = HeaderMap::with_capacity(headers.len());
    for (name, value) in headers {
        if let Some(Ok(name)) = rename(name.as_str()).map(HeaderName::try_from) {
            translated.append(name, value.clone());
        }
    }
    translated
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn names(translated: &HeaderMap) -> Vec<&str> {
        translated.keys().map(HeaderName::as_str).collect()
    }

    fn headers(names: &[&'static str]) -> HeaderMap {
        let value = HeaderValue::from_static("x");
        names
            .iter()
            .map(|name| (HeaderName::from_static(name), value.clone()))
            .collect()
    }

    #[test]
    fn http_headers_become_metadata() {
        let headers = headers(&[
            "host",
            "x-user",
            "connection",
            "te",
            "content-type",
            "traceparent",
        ]);
        let translated = http_to_metadata(&headers);
        assert_eq!(
            names(&translated),
            ["dapr-host", "x-user", "dapr-content-type", "traceparent"]
        );
    }

    #[test]
    fn metadata_becomes_http_headers() {
        let metadata = headers(&[
            "x-user",
            "key-bin",
            "grpc-encoding",
            "grpc-timeout",
            "content-type",
            "te",
        ]);
        let translated = metadata_to_http(&metadata);
        assert_eq!(
            names(&translated),
            ["x-user", "dapr-grpc-encoding", "grpc-timeout"]
        );
    }

    #[test]
    fn every_value_is_kept() {
        let mut headers = HeaderMap::new();
        headers.append("x-many", HeaderValue::from_static("1"));
        headers.append("x-many", HeaderValue::from_static("2"));
        assert_eq!(http_to_metadata(&headers), headers);
    }
}
