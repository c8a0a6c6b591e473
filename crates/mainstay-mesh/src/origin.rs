//! Where a replica is and how it is spoken to.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::uri::{Authority, InvalidUri, Parts, PathAndQuery, Scheme};
use http::{HeaderValue, Uri};

use crate::resolve::Addresses;
use crate::tls::ClientTls;

/// Where a replica is.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub(crate) place: Place,
    /// As `:authority` and as `host`.
    pub(crate) authority: Authority,
    pub(crate) host: HeaderValue,
}

/// What is dialled.
#[derive(Clone, Debug)]
pub(crate) enum Place {
    /// An app on this machine.
    App(SocketAddr),
    /// A service elsewhere.
    External(Arc<External>),
}

/// A service that Mainstay does not run.
#[derive(Debug)]
pub(crate) struct External {
    /// A name to be resolved, or an address.
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) tls: bool,
    /// What is special about its TLS.
    pub(crate) client_tls: Option<ClientTls>,
    /// The path that all its paths begin with, without a slash at its end.
    pub(crate) prefix: String,
    /// Where its name led to last.
    pub(crate) addresses: Addresses,
}

impl External {
    fn is_same(&self, other: &Self) -> bool {
        let key = |external: &Self| {
            (
                external.host.clone(),
                external.port,
                external.tls,
                external.prefix.clone(),
            )
        };
        let same_tls = match (&self.client_tls, &other.client_tls) {
            (None, None) => true,
            (Some(own), Some(others)) => own.is_same(others),
            _ => false,
        };
        key(self) == key(other) && same_tls
    }
}

impl Origin {
    /// An app that listens at `address`.
    pub(crate) fn app(address: SocketAddr) -> Result<Self, InvalidUri> {
        let authority: Authority = address.to_string().parse()?;
        Ok(Self::new(Place::App(address), authority))
    }

    /// The service at `url`; `None` when the URL names no host.
    pub(crate) fn external(url: &Uri, client_tls: Option<ClientTls>) -> Option<Self> {
        let authority = url.authority()?.clone();
        let tls = url.scheme() == Some(&Scheme::HTTPS);
        let external = External {
            host: authority.host().trim_matches(['[', ']']).to_owned(),
            port: authority.port_u16().unwrap_or(if tls { 443 } else { 80 }),
            tls,
            client_tls,
            prefix: url.path().trim_end_matches('/').to_owned(),
            addresses: Addresses::default(),
        };
        Some(Self::new(Place::External(Arc::new(external)), authority))
    }

    fn new(place: Place, authority: Authority) -> Self {
        // Every authority is a valid header value.
        let host = HeaderValue::from_str(authority.as_str());
        Self {
            place,
            host: host.unwrap_or_else(|_| HeaderValue::from_static("")),
            authority,
        }
    }

    /// Whether both lead to the same place in the same way.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        let same_place = match (&self.place, &other.place) {
            (Place::App(left), Place::App(right)) => left == right,
            (Place::External(left), Place::External(right)) => left.is_same(right),
            _ => false,
        };
        same_place && self.authority == other.authority
    }

    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match self.place {
            Place::App(address) => Some(address),
            Place::External(_) => None,
        }
    }

    /// Whether a connection may turn out to speak HTTP/2 although either would do.
    pub(crate) fn may_agree_on_http2(&self) -> bool {
        matches!(&self.place, Place::External(external) if external.tls)
    }

    /// How long a connection waits for its next request.
    ///
    /// For an app less than the 5 s after which Node.js and uvicorn close it from their side, because a request that is
    /// sent just then is lost, and a new connection on the same machine costs nothing. The usual server elsewhere
    /// waits for a minute, and a handshake with it is dear.
    pub(crate) fn max_idle_age(&self) -> Duration {
        match self.place {
            Place::App(_) => Duration::from_secs(4),
            Place::External(_) => Duration::from_secs(30),
        }
    }

    /// Where a request for `path` goes in HTTP/1.1: the path alone.
    pub(crate) fn origin_form(&self, path: Option<PathAndQuery>) -> Result<Uri, http::Error> {
        self.prefixed(path).map(Uri::from)
    }

    /// Where a request for `path` goes in HTTP/2: scheme and authority as well, its own unless another is given.
    pub(crate) fn absolute_form(
        &self,
        path: Option<PathAndQuery>,
        authority: Option<Authority>,
    ) -> Result<Uri, http::Error> {
        let tls = matches!(&self.place, Place::External(external) if external.tls);
        let mut parts = Parts::default();
        parts.scheme = Some(if tls { Scheme::HTTPS } else { Scheme::HTTP });
        parts.authority = Some(authority.unwrap_or_else(|| self.authority.clone()));
        parts.path_and_query = Some(self.prefixed(path)?);
        Ok(Uri::from_parts(parts)?)
    }

    fn prefixed(&self, path: Option<PathAndQuery>) -> Result<PathAndQuery, http::Error> {
        let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
        match &self.place {
            Place::External(external) if !external.prefix.is_empty() => {
                Ok(PathAndQuery::try_from(format!("{}{path}", external.prefix))?)
            }
            _ => Ok(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_external_service_adds_its_prefix() {
        let url = Uri::from_static("https://psp.example/v2/");
        let origin = Origin::external(&url, None).unwrap();
        let path = || Some(PathAndQuery::from_static("/charge?x=1"));
        assert_eq!(origin.origin_form(path()).unwrap(), "/v2/charge?x=1");
        assert_eq!(
            origin.absolute_form(path(), None).unwrap(),
            "https://psp.example/v2/charge?x=1"
        );
        assert_eq!(origin.host, "psp.example");
        let Place::External(external) = &origin.place else {
            panic!("not external");
        };
        assert_eq!(
            (external.host.as_str(), external.port, external.tls),
            ("psp.example", 443, true)
        );
    }

    #[test]
    fn an_address_may_be_of_version_6() {
        let url = Uri::from_static("http://[::1]:8080");
        let origin = Origin::external(&url, None).unwrap();
        let Place::External(external) = &origin.place else {
            panic!("not external");
        };
        assert_eq!(
            (external.host.as_str(), external.port, external.tls),
            ("::1", 8080, false)
        );
        assert_eq!(origin.origin_form(None).unwrap(), "/");
    }
}
