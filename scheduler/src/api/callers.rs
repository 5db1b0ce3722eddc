//! Who calls: connections that are accepted under mutual TLS, and calls that a caller's role does not allow.

use std::collections::BTreeSet;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use proto::access::allowed;
use proto::tls::{self, Role, Tls};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::transport::server::Connected;
use tonic::{Code, Status};

/// A handshake that takes longer has failed.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Handshakes under way: strangers cannot make this process hold more.
const HANDSHAKES_MAX: usize = 256;
/// After an error of the listener, such as too many open files.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Whose certificate a connection has shown.
#[derive(Clone, Debug, Default)]
pub struct Caller {
    pub name: String,
    pub roles: BTreeSet<Role>,
}

/// Connections whose callers have shown a certificate that this process trusts.
pub fn accept(listener: TcpListener, tls: Tls) -> impl Stream<Item = io::Result<Secured>> {
    let (sender, accepted) = mpsc::channel(1);
    let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
    tokio::spawn(async move {
        loop {
            let Ok(permit) = Arc::clone(&handshakes).acquire_owned().await else { return };
            let stream = tokio::select! {
                () = sender.closed() => return,
                stream = listener.accept() => stream,
            };
            let stream = match stream {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let (sender, acceptor) = (sender.clone(), TlsAcceptor::from(tls.server()));
            tokio::spawn(async move {
                let _permit = permit;
                match tokio::time::timeout(HANDSHAKE_TIMEOUT, Secured::accept(&acceptor, stream)).await {
                    // Nobody takes it any more where the server ends.
                    Ok(Ok(secured)) => drop(sender.send(Ok(secured)).await),
                    Ok(Err(error)) => tracing::debug!(%error, "a caller was refused"),
                    Err(_) => tracing::debug!("a caller was refused: the handshake took too long"),
                }
            });
        }
    });
    ReceiverStream::new(accepted)
}

/// A connection, and who is at its other end.
pub struct Secured {
    stream: TlsStream<TcpStream>,
    caller: Caller,
}

impl Secured {
    async fn accept(acceptor: &TlsAcceptor, stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        let stream = acceptor.accept(stream).await?;
        let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let caller = certificate.map(|shown| Caller { name: tls::name(shown), roles: tls::roles(shown) });
        Ok(Self { caller: caller.unwrap_or_default(), stream })
    }
}

impl Connected for Secured {
    type ConnectInfo = Caller;

    fn connect_info(&self) -> Caller {
        self.caller.clone()
    }
}

impl AsyncRead for Secured {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Secured {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Refuses calls that the caller's roles do not allow. Where connections are plain it lets everything pass.
#[derive(Clone, Copy, Debug)]
pub struct Guard {
    pub is_secured: bool,
}

impl<S> tower::Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, guard: *self }
    }
}

#[derive(Clone, Debug)]
pub struct Guarded<S> {
    inner: S,
    guard: Guard,
}

impl Guard {
    fn check<B>(self, request: &http::Request<B>) -> Result<(), Status> {
        if !self.is_secured {
            return Ok(());
        }
        let path = request.uri().path();
        let Some(caller) = request.extensions().get::<Caller>() else {
            return Err(Status::new(Code::Unauthenticated, "the connection has no caller"));
        };
        if allowed(path).iter().any(|role| caller.roles.contains(role)) {
            return Ok(());
        }
        let roles: Vec<&str> = caller.roles.iter().map(|role| role.as_str()).collect();
        let roles = if roles.is_empty() { "no role".to_owned() } else { roles.join(", ") };
        tracing::warn!(caller = caller.name, roles, path, "a call was refused");
        Err(Status::permission_denied(format!("'{}' ({roles}) may not call {path}", caller.name)))
    }
}

impl<S, B> tower::Service<http::Request<B>> for Guarded<S>
where
    S: tower::Service<http::Request<B>, Response = http::Response<Body>>,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = futures::future::Either<std::future::Ready<Result<S::Response, S::Error>>, S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: http::Request<B>) -> Self::Future {
        match self.guard.check(&request) {
            Ok(()) => futures::future::Either::Right(self.inner.call(request)),
            Err(status) => futures::future::Either::Left(std::future::ready(Ok(status.into_http()))),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_role_opens_its_own_methods_only() {
        let request = |path: &str, roles: &[Role]| {
            let mut request = http::Request::builder().uri(format!("http://replica{path}")).body(()).unwrap();
            request.extensions_mut().insert(Caller { name: "w-1".to_owned(), roles: roles.iter().copied().collect() });
            request
        };
        let guard = Guard { is_secured: true };
        let code = |path: &str, roles: &[Role]| guard.check(&request(path, roles)).map_err(|status| status.code());
        assert_eq!(code("/kontiki.v1.RaftService/Vote", &[Role::Replica]), Ok(()));
        assert_eq!(code("/kontiki.v1.RaftService/Vote", &[Role::Worker, Role::Client]), Err(Code::PermissionDenied));
        assert_eq!(code("/kontiki.v1.WorkerService/Session", &[Role::Client]), Err(Code::PermissionDenied));
        assert_eq!(code("/kontiki.v1.RunService/SubmitRun", &[Role::Worker]), Err(Code::PermissionDenied));
        assert_eq!(code("/kontiki.v1.RunService/SubmitRun", &[]), Err(Code::PermissionDenied));
        assert_eq!(code("/kontiki.v1.RunService/SubmitRun", &[Role::Client]), Ok(()));
        let stranger = http::Request::builder().uri("http://replica/kontiki.v1.RunService/GetRun").body(()).unwrap();
        assert_eq!(guard.check(&stranger).unwrap_err().code(), Code::Unauthenticated);
        assert!(Guard { is_secured: false }.check(&stranger).is_ok());
    }
}
