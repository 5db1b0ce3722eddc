//! A worker of a cluster: the session of this process over gRPC, and the runs it is handed.
//!
//! ```text
//! leader ◀══ gRPC stream ══▶ link ◀─ channels ─▶ session ── slots ── Remote (runs) ── cache, profiles
//! any replica ◀── describe, download ────────────────────────────────┘
//! ```
//!
//! Invariants: SQL in flight outlives the session: when the leader is gone, the link looks for the next one while slots go on;
//! nothing of a credential leaves this process.

mod cache;
mod link;
mod profiles;
mod runs;
mod source;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use common::WorkerId;
use common::session::WorkerDescription;
use proto::client::{self, Replicas};
use proto::tls::Tls;
use tokio::sync::{oneshot, watch};

pub use cache::{Bundle, Cache};
pub use profiles::{Profiles, Search};
pub use runs::{Description, Remote, Source};

use crate::session;
use link::Link;
use source::FromReplicas;

/// While one attempt runs, the next is here already; more would be missing elsewhere.
const OFFERED_PER_SLOT: u32 = 2;
/// How long a call about a run looks for a replica that answers before the attempt fails.
const CALL_PATIENCE: Duration = Duration::from_secs(30);
/// After the grace, how long interrupted attempts may take to be reported.
const FAREWELL: Duration = Duration::from_secs(5);

/// What the worker is started with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Addresses of replicas.
    pub servers: Vec<String>,
    pub slots: u32,
    pub labels: BTreeMap<String, String>,
    pub cache_dir: PathBuf,
    pub cache_bytes_max: u64,
    pub profiles: Search,
    pub heartbeat_interval: Duration,
    pub resend_after: Duration,
    /// How long attempts may go on after [`Stop::Drain`].
    pub grace: Duration,
    /// Names this machine to people.
    pub host: String,
    /// How replicas are talked to; plainly without it.
    pub tls: Option<Tls>,
    /// Told whether there is a session with a leader.
    pub linked: watch::Sender<bool>,
}

/// What the process was asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    Run,
    /// Finish what runs, take nothing new, within the grace.
    Drain,
    /// Interrupt what runs.
    Interrupt,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Client(#[from] client::Error),
    #[error("the cache of bundles: {0}")]
    Cache(String),
    #[error("cannot start the worker's threads: {0}")]
    Threads(std::io::Error),
}

/// How the worker ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything was finished and acknowledged.
    Drained,
    /// Attempts were left behind; the cluster gives them to others.
    Abandoned,
}

/// Works until `stop` asks for an end, or until the cluster drained this worker.
pub async fn run(config: Config, mut stop: watch::Receiver<Stop>) -> Result<Ended, Error> {
    let replicas = Replicas::new(config.servers.iter().map(String::as_str), CALL_PATIENCE, config.tls.clone())?;
    let cache =
        Cache::open(&config.cache_dir, config.cache_bytes_max).map_err(|error| Error::Cache(error.to_string()))?;
    let cluster = Arc::default();
    let source = FromReplicas::new(replicas.clone(), tokio::runtime::Handle::current(), Arc::clone(&cluster));
    let worker = WorkerId(uuid::Uuid::new_v4().to_string().into());
    let session = session::Config {
        worker: worker.clone(),
        slots: config.slots,
        offered_per_slot: OFFERED_PER_SLOT,
        description: WorkerDescription {
            labels: config.labels.clone(),
            host: config.host.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        },
        heartbeat_interval: config.heartbeat_interval,
        resend_after: config.resend_after,
        runs: Arc::new(Remote::new(Arc::new(source), cache, config.profiles.clone())),
    };
    let (handle, join) = session::start(session).map_err(Error::Threads)?;
    tracing::info!(worker = %worker, slots = config.slots, "the worker starts");
    // A thread of its own rather than one of the runtime's, whose end would wait for it.
    let (drain, drained) = oneshot::channel();
    let wait = move || {
        join.wait();
        // Nobody listens where the grace was over first.
        let _ = drain.send(());
    };
    std::thread::Builder::new().name("drain".to_owned()).spawn(wait).map_err(Error::Threads)?;
    let link = Link::new(replicas, handle.clone(), cluster, config.linked.clone());
    let linked = tokio::spawn(link.clone().keep());

    let ended = tokio::select! {
        _ = drained => Ended::Drained,
        () = leave(&config, &worker, &link, &mut stop) => Ended::Abandoned,
    };
    linked.abort();
    tracing::info!(?ended, "the worker ends");
    Ok(ended)
}

/// Returns once the worker had its grace and its attempts were interrupted, and they are still not all reported.
async fn leave(config: &Config, worker: &WorkerId, link: &Link, stop: &mut watch::Receiver<Stop>) {
    // The sender is the process's signal handler: without it, nobody can ask for an end any more.
    if stop.wait_for(|stop| *stop >= Stop::Drain).await.is_err() {
        return std::future::pending().await;
    }
    tracing::info!(grace = ?config.grace, "the worker drains");
    link.drain(worker).await;
    let interrupted = stop.wait_for(|stop| *stop >= Stop::Interrupt);
    // Either the second signal or the end of the grace.
    let _ = tokio::time::timeout(config.grace, interrupted).await;
    link.abandon();
    tokio::time::sleep(FAREWELL).await;
}
