//! How the `redis` crate is told about a server.

use std::time::Duration;

use redis::io::tcp::TcpSettings;
use redis::{
    Client, ClientTlsConfig, ConnectionAddr, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo,
    RedisError, TlsCertificates,
};
use socket2::TcpKeepalive;

use crate::options::{Options, Tls};

/// How long a connection is silent before the kernel asks whether the other side is still there.
const KEEPALIVE: Duration = Duration::from_secs(15);

/// Does not connect.
pub(crate) fn client(options: &Options) -> Result<Client, RedisError> {
    let host = options.host.clone();
    let port = options.port;
    let address = match &options.tls {
        None => ConnectionAddr::Tcp(host, port),
        Some(Tls { insecure, .. }) => ConnectionAddr::TcpTls {
            host,
            port,
            insecure: *insecure,
            tls_params: None,
        },
    };
    let keepalive = TcpKeepalive::new()
        .with_time(KEEPALIVE)
        .with_interval(KEEPALIVE / 3)
        .with_retries(3);
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(keepalive);
    let server = address
        .into_connection_info()?
        .set_redis_settings(login(options))
        .set_tcp_settings(settings);
    let Some(tls) = &options.tls else {
        return Client::open(server);
    };
    // The `redis` crate takes the one of the process. It is no error that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    if tls.insecure {
        tracing::warn!(
            host = options.host,
            "the certificate of Redis is not checked: insecureSkipTLSVerify is set"
        );
    }
    Client::build_with_tls(server, certificates(tls))
}

/// With this protocol the client is told at once that the server is gone, not by the next call that fails.
fn login(options: &Options) -> RedisConnectionInfo {
    let mut login = RedisConnectionInfo::default()
        .set_protocol(ProtocolVersion::RESP3)
        .set_db(options.database.into())
        .set_lib_name("mainstay", env!("CARGO_PKG_VERSION"));
    if let Some(username) = &options.username {
        login = login.set_username(username);
    }
    if let Some(password) = &options.password {
        login = login.set_password(password.as_str());
    }
    login
}

fn certificates(tls: &Tls) -> TlsCertificates {
    TlsCertificates {
        client_tls: tls.client.as_ref().map(|(certificate, key)| ClientTlsConfig {
            client_cert: certificate.clone().into_bytes(),
            client_key: key.as_bytes().to_vec(),
        }),
        root_cert: tls.authorities.clone().map(String::into_bytes),
    }
}
