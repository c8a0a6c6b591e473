//! Who may use the control API: those who know the token, and no web page of somebody else.

use std::net::{IpAddr, SocketAddr};

use http::header::{AUTHORIZATION, HOST, HeaderMap, ORIGIN};
use http::{HeaderValue, Request, Uri};

use crate::AppToken;

/// Whether a request shows the token as `authorization: Bearer`.
pub(super) fn shows_token(headers: &HeaderMap, token: &AppToken) -> bool {
    let shown = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
    let Some((scheme, shown)) = shown.and_then(|value| value.split_at_checked(b"Bearer ".len())) else {
        return false;
    };
    scheme.eq_ignore_ascii_case(b"Bearer ") && token.matches(shown)
}

/// Refuses requests that a browser makes for a page of somebody else. A page that resolves its own name to this address
/// (DNS rebinding) shows that name as `host`; one of another origin shows it as `origin`. Plain addresses cannot be
/// rebound.
///
/// # Errors
/// With the name under which the API may not be asked.
pub(super) fn check_origin<B>(request: &Request<B>, hosts: &[String]) -> Result<(), String> {
    let header = |name| request.headers().get(name).map(HeaderValue::as_bytes);
    let target = request
        .uri()
        .authority()
        .map(|authority| authority.as_str().as_bytes());
    let shown = |name: &[u8]| String::from_utf8_lossy(name).into_owned();
    match target.or_else(|| header(HOST)) {
        // Only HTTP/1.0 has no host, and no browser speaks that.
        None => {}
        Some(host) if is_allowed(host, hosts) => {}
        Some(host) => return Err(shown(host)),
    }
    match header(ORIGIN) {
        None => Ok(()),
        Some(origin) => {
            let authority = Uri::try_from(origin)
                .ok()
                .and_then(|uri| uri.authority().cloned());
            match authority {
                Some(authority) if is_allowed(authority.as_str().as_bytes(), hosts) => Ok(()),
                _ => Err(shown(origin)),
            }
        }
    }
}

fn is_allowed(authority: &[u8], hosts: &[String]) -> bool {
    let Ok(authority) = str::from_utf8(authority) else {
        return false;
    };
    let address = authority.trim_start_matches('[').trim_end_matches(']');
    if authority.parse::<SocketAddr>().is_ok() || address.parse::<IpAddr>().is_ok() {
        return true;
    }
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    let named = |name: &str| host.eq_ignore_ascii_case(name);
    named("localhost") || hosts.iter().any(|name| named(name))
}

#[cfg(test)]
mod tests {
    use http::header::HeaderName;

    use super::*;

    fn check(pairs: &[(HeaderName, &str)]) -> Result<(), String> {
        let mut request = Request::new(());
        for (name, value) in pairs {
            let value = HeaderValue::from_str(value).unwrap();
            request.headers_mut().insert(name, value);
        }
        check_origin(&request, &["mainstay.internal".to_owned()])
    }

    #[test]
    fn addresses_and_known_names_are_let_in() {
        for host in [
            "127.0.0.1:4400",
            "127.0.0.1",
            "[::1]:4400",
            "[::1]",
            "localhost:4400",
            "LocalHost",
            "mainstay.internal:4400",
            "192.168.1.5:4400",
        ] {
            assert_eq!(check(&[(HOST, host)]), Ok(()), "{host}");
        }
        assert_eq!(check(&[]), Ok(()));
        let same = [(HOST, "127.0.0.1:4400"), (ORIGIN, "http://127.0.0.1:4400")];
        assert_eq!(check(&same), Ok(()));
    }

    #[test]
    fn names_and_origins_of_others_are_not() {
        for host in [
            "evil.example",
            "evil.example:4400",
            "localhost.evil.example",
            "",
            "127.0.0.1.nip.io",
        ] {
            assert_eq!(check(&[(HOST, host)]), Err(host.to_owned()), "{host}");
        }
        for origin in [
            "https://evil.example",
            "null",
            "http://localhost.evil.example:4400",
        ] {
            let headers = [(HOST, "127.0.0.1:4400"), (ORIGIN, origin)];
            assert_eq!(check(&headers), Err(origin.to_owned()), "{origin}");
        }
    }

    #[test]
    fn the_token_is_shown_as_bearer() {
        let token = AppToken::new("secret");
        let shows = |value: &str| {
            let value = HeaderValue::from_str(value).unwrap();
            shows_token(&HeaderMap::from_iter([(AUTHORIZATION, value)]), &token)
        };
        assert!(shows("Bearer secret"));
        assert!(shows("bearer secret"));
        for value in [
            "secret",
            "Bearer",
            "Bearer ",
            "Bearer secre",
            "Basic secret",
            "Bearer  secret",
        ] {
            assert!(!shows(value), "{value}");
        }
        assert!(!shows_token(&HeaderMap::new(), &token));
    }
}
