//! Who calls: connections that are accepted under TLS, and calls that nothing allows their caller.

use std::collections::BTreeSet;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt as _, Stream};
use proto::access::{Need, Role, Scope, allowed, needed};
use proto::tls::{self, Callers, Identity, Tls};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::transport::server::Connected;
use tonic::{Code, Status};

use crate::access::{Access, Principal};

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
    pub identities: BTreeSet<Identity>,
}

/// Connections under TLS. Who shows a certificate shows one that this process trusts.
pub fn accept(listener: TcpListener, tls: Tls, callers: Callers) -> impl Stream<Item = io::Result<Secured>> {
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
            let Some(server) = tls.server(callers) else { return };
            let (sender, acceptor) = (sender.clone(), TlsAcceptor::from(server));
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
        let caller = certificate.map(|shown| Caller { name: tls::name(shown), identities: tls::identities(shown) });
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

/// Refuses calls that nothing allows their caller, and tells services who calls. Where connections are plain it lets everything pass.
#[derive(Clone, Debug)]
pub struct Guard {
    pub is_secured: bool,
    /// What clients may do; without it those with a certificate may do everything.
    pub access: Option<Arc<Access>>,
}

impl<S> tower::Layer<S> for Guard {
    type Service = Guarded<S>;

    fn layer(&self, inner: S) -> Guarded<S> {
        Guarded { inner, guard: self.clone() }
    }
}

#[derive(Clone, Debug)]
pub struct Guarded<S> {
    inner: S,
    guard: Guard,
}

impl Guard {
    /// Who calls, if they may.
    async fn check(&self, path: &str, caller: Option<Caller>, token: Option<Token>) -> Result<Principal, Status> {
        if !self.is_secured {
            return Ok(Principal::unlimited("anybody"));
        }
        let Some(caller) = caller else {
            return Err(Status::new(Code::Unauthenticated, "the connection has no caller"));
        };
        let is_of_cluster = |identity: &Identity| *identity != Identity::Client && caller.identities.contains(identity);
        let has_certificate = !caller.identities.is_empty();
        let allowed = allowed(path);
        let is_for_all = allowed.len() == Identity::ALL.len() && (has_certificate || self.access.is_some());
        if is_for_all || allowed.iter().any(is_of_cluster) {
            return Ok(Principal::unlimited(caller.name));
        }
        match (&self.access, needed(path)) {
            (None, _) if token.is_some() => {
                Err(Status::unauthenticated("this cluster has no access policy: a token tells it nothing"))
            }
            (None, Some(_)) if caller.identities.contains(&Identity::Client) => Ok(Principal::unlimited(caller.name)),
            (Some(access), Some(need)) => granted(access, path, need, &caller, token).await,
            _ => {
                let identities: Vec<&str> = caller.identities.iter().map(|identity| identity.as_str()).collect();
                let identities = if identities.is_empty() { "no role".to_owned() } else { identities.join(", ") };
                tracing::warn!(target: "kontiki::audit", caller = caller.name, identities, path, "a call was refused");
                Err(Status::permission_denied(format!("'{}' ({identities}) may not call {path}", caller.name)))
            }
        }
    }
}

/// Who calls, if the policy lets them call this at all; for which projects, services find out.
async fn granted(
    access: &Access,
    path: &str,
    need: Need,
    caller: &Caller,
    token: Option<Token>,
) -> Result<Principal, Status> {
    let token = token.transpose().map_err(|()| Status::unauthenticated("the header is not 'Bearer' and a token"))?;
    let certificate = caller.identities.contains(&Identity::Client).then_some(caller.name.as_str());
    let principal = access.principal(token.as_deref(), certificate).await.map_err(|stranger| {
        tracing::warn!(target: "kontiki::audit", certificate = caller.name, path, %stranger, "a caller was refused");
        Status::unauthenticated(stranger.to_string())
    })?;
    let is_granted = match need.scope {
        Scope::Cluster => principal.may(need.role, None),
        Scope::Anywhere | Scope::Project => principal.may_somewhere(need.role),
    };
    let (name, role) = (&principal.name, need.role.as_str());
    if is_granted {
        if need.role > Role::Viewer {
            tracing::info!(target: "kontiki::audit", caller = name, path, role, "a call");
        }
        return Ok(principal);
    }
    tracing::warn!(target: "kontiki::audit", caller = name, path, role, "a call was refused");
    let what = if need.scope == Scope::Cluster { "all projects" } else { "any project" };
    Err(Status::permission_denied(format!("'{name}' is not {role} of {what}: {path}")))
}

/// What stands in the header `authorization`: a bearer's token, or something else.
type Token = Result<String, ()>;

fn token<B>(request: &http::Request<B>) -> Option<Token> {
    let header = request.headers().get(http::header::AUTHORIZATION)?;
    let bearer = || {
        let (scheme, token) = header.to_str().ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then(|| token.trim().to_owned())
    };
    Some(bearer().ok_or(()))
}

impl<S, B> tower::Service<http::Request<B>> for Guarded<S>
where
    S: tower::Service<http::Request<B>, Response = http::Response<Body>> + Clone + Send + 'static,
    S::Future: Send + 'static,
    S::Error: Send + 'static,
    B: Send + 'static,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: http::Request<B>) -> Self::Future {
        // The one that said it is ready is the one that is called.
        let next = self.inner.clone();
        let mut ready = std::mem::replace(&mut self.inner, next);
        let guard = self.guard.clone();
        let caller = request.extensions_mut().remove::<Caller>();
        let token = token(&request);
        async move {
            match guard.check(request.uri().path(), caller, token).await {
                Ok(principal) => {
                    request.extensions_mut().insert(principal);
                    ready.call(request).await
                }
                Err(status) => Ok(status.into_http()),
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use proto::access::methods;

    use super::*;

    fn caller(identities: &[Identity]) -> Caller {
        Caller { name: "w-1".to_owned(), identities: identities.iter().copied().collect() }
    }

    #[tokio::test]
    async fn a_certificate_opens_its_own_methods_only() {
        let guard = Guard { is_secured: true, access: None };
        let code = async |path: &str, identities: &[Identity]| {
            guard.check(path, Some(caller(identities)), None).await.map(drop).map_err(|status| status.code())
        };
        assert_eq!(code("/kontiki.v1.RaftService/Vote", &[Identity::Replica]).await, Ok(()));
        let both = [Identity::Worker, Identity::Client];
        assert_eq!(code("/kontiki.v1.RaftService/Vote", &both).await, Err(Code::PermissionDenied));
        let (session, submit) = ("/kontiki.v1.WorkerService/Session", "/kontiki.v1.RunService/SubmitRun");
        assert_eq!(code(session, &[Identity::Client]).await, Err(Code::PermissionDenied));
        assert_eq!(code(submit, &[Identity::Worker]).await, Err(Code::PermissionDenied));
        assert_eq!(code(submit, &[]).await, Err(Code::PermissionDenied));
        assert_eq!(code("/grpc.health.v1.Health/Check", &[]).await, Err(Code::PermissionDenied));
        assert_eq!(code(submit, &[Identity::Client]).await, Ok(()));
        let stranger = guard.check("/kontiki.v1.RunService/GetRun", None, None).await;
        assert_eq!(stranger.unwrap_err().code(), Code::Unauthenticated);
        let told = guard.check(submit, Some(caller(&[Identity::Client])), Some(Ok("token".to_owned()))).await;
        assert_eq!(told.unwrap_err().code(), Code::Unauthenticated);
        assert!(Guard { is_secured: false, access: None }.check(submit, None, None).await.is_ok());
    }

    /// Tokens `viewer`, `operator`, … of project `shop`, and `all-viewer`, … of everything.
    fn policy() -> (tempfile::TempDir, Arc<Access>) {
        use sha2::Digest as _;
        let mut text = String::new();
        for role in ROLES {
            for (name, projects) in [(role.to_owned(), "projects = [\"shop\"]"), (format!("all-{role}"), "")] {
                let hash = common::ContentDigest(sha2::Sha256::digest(&name).into());
                text += &format!("[[token]]\nname = \"{name}\"\nsha256 = \"{hash}\"\n");
                text += &format!("[[grant]]\nto = [\"token:{name}\"]\nrole = \"{role}\"\n{projects}\n");
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("access.toml");
        std::fs::write(&file, text).unwrap();
        let access = Arc::new(Access::load(file).unwrap());
        (folder, access)
    }

    const ROLES: [&str; 4] = ["viewer", "operator", "deployer", "admin"];

    #[tokio::test]
    async fn every_method_is_closed_to_strangers_and_to_lesser_roles() {
        let (_folder, access) = policy();
        let guard = Guard { is_secured: true, access: Some(access) };
        let mut tried = 0;
        for path in methods().unwrap() {
            let code = async |token: Option<&str>, identities: &[Identity]| {
                let token = token.map(|token| Ok(token.to_owned()));
                let answer = guard.check(&path, Some(caller(identities)), token).await;
                answer.map(drop).map_err(|status| status.code())
            };
            let Some(need) = needed(&path) else {
                // Of the cluster's own: no token opens it.
                assert_eq!(code(Some("all-admin"), &[]).await, Err(Code::PermissionDenied), "{path}");
                assert_eq!(code(None, &[Identity::Client]).await, Err(Code::PermissionDenied), "{path}");
                continue;
            };
            assert_eq!(code(None, &[]).await, Err(Code::Unauthenticated), "{path}");
            assert_eq!(code(Some("nonsense"), &[]).await, Err(Code::Unauthenticated), "{path}");
            // A certificate that no grant names.
            assert_eq!(code(None, &[Identity::Client]).await, Err(Code::PermissionDenied), "{path}");
            for role in ROLES {
                let is_enough = ROLES.iter().position(|known| *known == role)
                    >= ROLES.iter().position(|known| *known == need.role.as_str());
                let expected = |granted: bool| if granted { Ok(()) } else { Err(Code::PermissionDenied) };
                assert_eq!(code(Some(&format!("all-{role}")), &[]).await, expected(is_enough), "{role} {path}");
                let is_granted = is_enough && need.scope != Scope::Cluster;
                assert_eq!(code(Some(role), &[]).await, expected(is_granted), "{role} of a project {path}");
                tried += 1;
            }
        }
        assert!(tried > 150, "{tried}");
    }
}
