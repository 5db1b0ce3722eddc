//! A client of a cluster: any of its replicas will do, and while one of them answers, so does the client.
//!
//! Invariant: a call is only ever sent again where the answer was that nothing had been done, or where the call is safe to repeat (it
//! reads, or it carries an id); callers say so by using [`Replicas::call`].

use std::collections::HashMap;
use std::future::Future;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;
use tonic::metadata::MetadataValue;
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{self, Endpoint};
use tonic::{Code, Request, Status};
use tonic_types::{ErrorDetails, StatusExt};

use crate::dial;
use crate::tls::Tls;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// A replica that does not answer pings for this long is as good as gone, even where its machine keeps the connection open.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(3);
const BACKOFF_MAX: Duration = Duration::from_secs(1);
/// Addresses that are remembered beside those that were configured.
const LEARNED_MAX: usize = 64;

/// In the details of an error of a replica that does not lead.
const NOT_LEADER: &str = "NOT_LEADER";
/// The metadata key under which those details name the leader's address.
pub const LEADER_ADDRESS: &str = "leader_address";
/// Whose reasons they are.
const DOMAIN: &str = "kontiki";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("'{0}' is not the address of a replica; it looks like host:4728 or http://host:4728")]
    Address(String),
    #[error("no replica was named")]
    NoReplica,
    #[error("a token is told to nobody but a replica that shows its certificate: give those who sign for it, tls.ca")]
    TokenWithoutTls,
}

/// A connection over which calls tell who calls.
pub type Channel = InterceptedService<transport::Channel, Credentials>;

/// What a client says of itself beside its certificate. Cheap to clone. A token is not printed, and one from a file is not kept.
#[derive(Clone, Default)]
pub enum Credentials {
    /// Its certificate says everything.
    #[default]
    Certificate,
    Token(Arc<str>),
    /// Read at every call: such files are replaced before what is in them expires.
    TokenFile(Arc<Path>),
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Certificate => "Certificate",
            Self::Token(_) => "Token(…)",
            Self::TokenFile(_) => "TokenFile(…)",
        })
    }
}

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let token = match self {
            Self::Certificate => return Ok(request),
            Self::Token(token) => token.to_string(),
            Self::TokenFile(file) => std::fs::read_to_string(&*file).map_err(|error| {
                Status::unauthenticated(format!("the token cannot be read: {}: {error}", file.display()))
            })?,
        };
        let header = MetadataValue::try_from(format!("Bearer {}", token.trim()));
        let mut header = header.map_err(|_| Status::unauthenticated("the token has characters that no token has"))?;
        header.set_sensitive(true);
        request.metadata_mut().insert("authorization", header);
        Ok(request)
    }
}

/// The replicas of one cluster, as far as they are known. Cheap to clone.
#[derive(Clone)]
pub struct Replicas {
    shared: Arc<Mutex<Shared>>,
    /// How long a call goes on trying.
    patience: Duration,
}

struct Shared {
    configured: Vec<String>,
    learned: Vec<String>,
    channels: HashMap<String, Channel>,
    tls: Option<Tls>,
    credentials: Credentials,
    /// The one that answered last.
    preferred: Option<String>,
}

impl Replicas {
    /// `patience` is how long calls look for a replica that can do what they ask before they fail. Without `tls` connections are plain.
    pub fn new<'a>(
        addresses: impl IntoIterator<Item = &'a str>,
        patience: Duration,
        tls: Option<Tls>,
    ) -> Result<Self, Error> {
        let configured = addresses.into_iter().map(normal).collect::<Result<Vec<_>, _>>()?;
        if configured.is_empty() {
            return Err(Error::NoReplica);
        }
        let shared = Shared {
            configured,
            learned: Vec::new(),
            channels: HashMap::new(),
            tls,
            credentials: Credentials::default(),
            preferred: None,
        };
        Ok(Self { shared: Arc::new(Mutex::new(shared)), patience })
    }

    /// The same replicas, called by somebody whom these tell of. A token goes over TLS only.
    pub fn called_by(self, credentials: Credentials) -> Result<Self, Error> {
        let mut shared = self.shared();
        if shared.tls.is_none() && !matches!(credentials, Credentials::Certificate) {
            return Err(Error::TokenWithoutTls);
        }
        shared.channels.clear();
        shared.credentials = credentials;
        drop(shared);
        Ok(self)
    }

    /// The same replicas for calls that may take longer.
    pub fn patient(&self, patience: Duration) -> Self {
        Self { shared: Arc::clone(&self.shared), patience }
    }

    /// Remembers addresses that a replica told.
    pub fn learn<'a>(&self, addresses: impl IntoIterator<Item = &'a str>) {
        let mut shared = self.shared();
        let learned: Vec<String> = addresses.into_iter().filter_map(|address| normal(address).ok()).collect();
        shared.learned =
            learned.into_iter().filter(|known| !shared.configured.contains(known)).take(LEARNED_MAX).collect();
        let Shared { configured, learned, channels, .. } = &mut *shared;
        channels.retain(|address, _| configured.contains(address) || learned.contains(address));
    }

    /// Asks this one first from now on.
    pub fn prefer(&self, address: &str) {
        self.shared().preferred = normal(address).ok();
    }

    /// In the order in which they should be tried.
    pub fn addresses(&self) -> Vec<String> {
        let shared = self.shared();
        let all = shared.preferred.iter().chain(&shared.configured).chain(&shared.learned);
        let mut addresses: Vec<String> = Vec::new();
        for address in all {
            if !addresses.contains(address) {
                addresses.push(address.clone());
            }
        }
        addresses
    }

    /// A connection, made when it is first used and again when it broke.
    pub fn channel(&self, address: &str) -> Result<Channel, Error> {
        let address = normal(address)?;
        if let Some(channel) = self.shared().channels.get(&address) {
            return Ok(channel.clone());
        }
        let endpoint = Endpoint::from_shared(address.clone()).map_err(|_| Error::Address(address.clone()))?;
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        let mut shared = self.shared();
        let channel = dial::lazily(endpoint, shared.tls.as_ref());
        let channel = InterceptedService::new(channel, shared.credentials.clone());
        shared.channels.insert(address, channel.clone());
        Ok(channel)
    }

    /// Makes a call that may be repeated, of one replica after another, until one can answer it or patience runs out.
    pub async fn call<T, F, Answer>(&self, mut request: F) -> Result<T, Status>
    where
        F: FnMut(Channel) -> Answer,
        Answer: Future<Output = Result<T, Status>>,
    {
        let deadline = Instant::now() + self.patience;
        let mut backoff = Duration::from_millis(20);
        loop {
            let mut last = Status::unavailable("no replica was named");
            for address in self.addresses() {
                let channel = self.channel(&address).map_err(|error| Status::invalid_argument(error.to_string()))?;
                let answer = tokio::time::timeout_at(deadline, request(channel)).await;
                match answer.unwrap_or_else(|_| Err(Status::unavailable("it did not answer in time"))) {
                    Ok(answer) => {
                        self.prefer(&address);
                        return Ok(answer);
                    }
                    Err(status) if !is_retryable(&status) => return Err(status),
                    Err(status) => {
                        // The next round begins with whoever leads.
                        if let Some(leader) = leader_of(&status) {
                            self.prefer(&leader);
                        }
                        last = named(&address, &status);
                    }
                }
            }
            if Instant::now() + backoff >= deadline {
                return Err(last);
            }
            tokio::time::sleep(backoff).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    fn shared(&self) -> MutexGuard<'_, Shared> {
        // Every change is a single assignment: a panic elsewhere leaves it whole.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether another replica, or the same one a little later, may be able to do what was asked.
pub fn is_retryable(status: &Status) -> bool {
    // A replica says so where it knows.
    if status.get_details_retry_info().is_some() {
        return true;
    }
    match status.code() {
        Code::Unavailable | Code::Aborted => true,
        // Only a replica that does not lead names the leader; any other precondition is the caller's.
        Code::FailedPrecondition => leader_of(status).is_some(),
        // What a replica answers has no source: the connection broke in the middle, whatever code was made of how it did.
        _ => std::error::Error::source(status).is_some(),
    }
}

/// The leader's address, where the error says that another replica leads; empty where it does not know which.
pub fn leader_of(status: &Status) -> Option<String> {
    let info = status.get_details_error_info().filter(|info| info.reason == NOT_LEADER)?;
    Some(info.metadata.get(LEADER_ADDRESS).cloned().unwrap_or_default())
}

/// What a replica answers that does not lead; `leader` is empty where it does not know who does.
pub fn not_leader(leader: &str) -> Status {
    let metadata = HashMap::from([(LEADER_ADDRESS.to_owned(), leader.to_owned())]);
    let details = ErrorDetails::with_error_info(NOT_LEADER, DOMAIN, metadata);
    Status::with_error_details(Code::FailedPrecondition, "another replica leads", details)
}

/// The error with the address it came from.
fn named(address: &str, status: &Status) -> Status {
    match std::error::Error::source(status) {
        Some(source) => Status::unavailable(format!("{address}: {} ({})", status.message(), innermost(source))),
        None => Status::new(status.code(), format!("{address}: {}", status.message())),
    }
}

fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// `host:port` as a URL.
fn normal(address: &str) -> Result<String, Error> {
    let address = address.trim().trim_end_matches('/');
    let wrong = || Error::Address(address.to_owned());
    let rest = match address.split_once("://") {
        Some(("http" | "https", rest)) => rest,
        Some(_) => return Err(wrong()),
        None => address,
    };
    let (host, port) = rest.rsplit_once(':').ok_or_else(wrong)?;
    if host.is_empty() || port.parse::<u16>().is_err() || rest.contains(['/', ' ', '@']) {
        return Err(wrong());
    }
    Ok(if address == rest { format!("http://{address}") } else { address.to_owned() })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn addresses_are_made_alike_and_others_refused() {
        assert_eq!(normal("a:1").unwrap(), "http://a:1");
        assert_eq!(normal(" https://a.b:4728/ ").unwrap(), "https://a.b:4728");
        assert_eq!(normal("[::1]:4728").unwrap(), "http://[::1]:4728");
        for wrong in ["a", "a:x", ":1", "ftp://a:1", "http://a:1/path", "user@a:1", ""] {
            assert!(normal(wrong).is_err(), "{wrong}");
        }
    }

    #[tokio::test]
    async fn the_preferred_one_comes_first_and_none_twice() {
        let replicas = Replicas::new(["a:1", "b:1"], Duration::ZERO, None).unwrap();
        replicas.learn(["b:1", "c:1"]);
        replicas.prefer("c:1");
        assert_eq!(replicas.addresses(), ["http://c:1", "http://a:1", "http://b:1"]);
    }

    #[tokio::test]
    async fn a_call_goes_on_until_a_replica_can_answer() {
        let replicas = Replicas::new(["a:1", "b:1"], Duration::from_secs(10), None).unwrap();
        let calls = AtomicUsize::new(0);
        let answer = replicas.call(|_| {
            let call = calls.fetch_add(1, Ordering::Relaxed);
            async move {
                match call {
                    0 => Err(Status::unavailable("down")),
                    1 => Err(not_leader("c:1")),
                    _ => Ok(call),
                }
            }
        });
        assert_eq!(answer.await.unwrap(), 2);
        assert_eq!(replicas.addresses()[0], "http://c:1");
    }

    /// What a client makes of a connection that broke.
    #[derive(Debug, thiserror::Error)]
    #[error("the connection broke")]
    struct Broken(#[source] Status);

    #[test]
    fn a_connection_that_broke_is_worth_another_try_and_a_defect_is_not() {
        let broken = Status::from_error(Box::new(Broken(Status::internal("h2 protocol error: http2 error"))));
        assert_eq!(broken.code(), Code::Internal);
        assert!(is_retryable(&broken));
        assert!(is_retryable(&named("a:1", &broken)));
        assert!(!is_retryable(&Status::internal("a defect")));
    }

    #[tokio::test]
    async fn what_is_refused_is_not_repeated_and_patience_ends() {
        let replicas = Replicas::new(["a:1"], Duration::from_millis(30), None).unwrap();
        let calls = AtomicUsize::new(0);
        let refused = replicas.call(|_| {
            calls.fetch_add(1, Ordering::Relaxed);
            async { Err::<(), _>(Status::failed_precondition("the run has not finished")) }
        });
        assert_eq!(refused.await.unwrap_err().code(), Code::FailedPrecondition);
        assert_eq!(calls.load(Ordering::Relaxed), 1);
        let gone = replicas.call(|_| async { Err::<(), _>(Status::unavailable("down")) });
        assert_eq!(gone.await.unwrap_err().message(), "http://a:1: down");
    }
}
