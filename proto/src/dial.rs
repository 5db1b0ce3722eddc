//! Connections to replicas: plain, or under mutual TLS.

use std::io;
use std::time::Duration;

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::tls::Tls;

/// A handshake that takes longer has failed.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether only this machine answers to a host. A name is taken for another machine's, unless it is `localhost`.
pub fn is_loopback(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A connection that is made when it is needed, and again when it broke.
pub fn lazily(endpoint: Endpoint, tls: Option<&Tls>) -> Channel {
    let Some(tls) = tls.cloned() else { return endpoint.tcp_nodelay(true).connect_lazy() };
    endpoint.connect_with_connector_lazy(tower::service_fn(move |uri: Uri| {
        let tls = tls.clone();
        async move { secured(&uri, &tls).await.map(TokioIo::new) }
    }))
}

async fn secured(uri: &Uri, tls: &Tls) -> io::Result<TlsStream<TcpStream>> {
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, format!("'{uri}' is not an address"));
    // An IPv6 address stands in brackets.
    let host = uri.host().ok_or_else(invalid)?.trim_matches(['[', ']']).to_owned();
    let stream = TcpStream::connect((host.as_str(), uri.port_u16().ok_or_else(invalid)?)).await?;
    stream.set_nodelay(true)?;
    let name = tls.expected().map_or(host, str::to_owned);
    let name = ServerName::try_from(name).map_err(|_| invalid())?;
    let handshake = TlsConnector::from(tls.client()).connect(name, stream);
    tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}
