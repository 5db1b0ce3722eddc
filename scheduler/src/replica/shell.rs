//! One replica as a whole: its parts, and the tasks that keep them going.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use openraft::async_runtime::watch::WatchReceiver;
use openraft::{ServerState, SnapshotPolicy};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::core::{self, Core, ProposerId};
use super::{Config, Error, Member, bootstrap, membership};
use crate::raft::identity::Identity;
use crate::raft::log::LogStore;
use crate::raft::machine::{Blobs, Machine};
use crate::raft::network::{Local, Network};
use crate::raft::{Raft, StoredMembership};

/// Bytes of entries after which a snapshot is saved.
const SNAPSHOT_BYTES: usize = 64 * 1024 * 1024;
/// Most entries in one message to a follower; their bytes are bounded by the log's reader.
const MESSAGE_ENTRIES_MAX: u64 = 1_024;
const SNAPSHOT_TIMEOUT: Duration = Duration::from_secs(600);
/// How often the replica looks after learners and the size of its log.
const UPKEEP: Duration = Duration::from_millis(500);

pub(super) struct Shell {
    pub config: Config,
    pub core: Arc<Core>,
    identity: OnceLock<Identity>,
    raft: OnceLock<Raft>,
    /// Until the replica knows who it is.
    parts: Mutex<Option<(LogStore, Machine)>>,
    leader: watch::Sender<Option<Member>>,
    tasks: Mutex<JoinSet<()>>,
    /// To leaders, by address.
    pub channels: Mutex<HashMap<String, tonic::transport::Channel>>,
    /// Membership changes one at a time.
    pub changing: tokio::sync::Mutex<()>,
}

impl Shell {
    /// Blocks while it opens the log.
    pub fn open(config: Config) -> Result<(Self, Option<Identity>), Error> {
        check(&config)?;
        let log = LogStore::open_with(&config.directory, config.sync.make())?;
        let identity = Identity::load(&config.directory)?;
        let core = Arc::new(Core::new(config.policy.clone(), Blobs::new(&config.directory)));
        let machine = Machine::open(&config.directory, core.clone())?;
        if identity.is_none() && !(log.is_empty() && core.standing().0 == 0) {
            let reason = format!("{} holds a log or a snapshot, but no identity.json", config.directory.display());
            return Err(Error::Config(reason));
        }
        let shell = Self {
            config,
            core,
            identity: OnceLock::new(),
            raft: OnceLock::new(),
            parts: Mutex::new(Some((log, machine))),
            leader: watch::Sender::new(None),
            tasks: Mutex::default(),
            channels: Mutex::default(),
            changing: tokio::sync::Mutex::default(),
        };
        Ok((shell, identity))
    }

    /// Takes part from now on as the replica that `identity` names. Called once.
    pub async fn take_part(self: &Arc<Self>, identity: Identity) -> Result<(), Error> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some((log, machine)) = parts else {
            return Err(Error::Unavailable { reason: "it has an identity already" });
        };
        let mut failure = log.failure();
        let local = Local {
            cluster: identity.cluster.clone(),
            blobs: self.core.blobs().clone(),
            compare: self.core.clone(),
            tls: self.config.tls.clone(),
        };
        let raft = Raft::new(identity.replica, self.openraft()?, Network::new(local), log, machine).await;
        let raft = raft.map_err(|fatal| Error::Stopped(fatal.to_string().into()))?;
        self.core.identify(ProposerId { replica: identity.replica, incarnation: identity.incarnation });
        tracing::info!(cluster = identity.cluster, replica = identity.replica, "takes part");
        // Set once: the parts were taken above.
        let _ = self.identity.set(identity);
        let _ = self.raft.set(raft.clone());
        self.spawn(core::propose_until_stopped(self.core.clone(), raft.clone()));
        let shell = self.clone();
        self.spawn(async move { shell.follow(raft).await });
        let shell = self.clone();
        self.spawn(async move { shell.keep_up().await });
        let core = self.core.clone();
        self.spawn(async move {
            if let Ok(reason) = failure.wait_for(Option::is_some).await {
                core.fail(reason.as_deref().unwrap_or_default());
            }
        });
        Ok(())
    }

    /// Finds the others until the replica belongs to a cluster.
    pub fn look_for_others(self: &Arc<Self>) {
        let shell = self.clone();
        self.spawn(async move { bootstrap::run(shell).await });
    }

    fn openraft(&self) -> Result<Arc<openraft::Config>, Error> {
        let millis = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let timings = &self.config.timings;
        let config = openraft::Config {
            cluster_name: "kontiki".to_owned(),
            heartbeat_interval: millis(timings.heartbeat),
            election_timeout_min: millis(timings.election_min),
            election_timeout_max: millis(timings.election_max),
            enable_pre_vote: Some(true),
            // What is committed is on disk a little later only: a leader that starts again must not lead with an older state.
            enable_leader_restore: Some(false),
            // Followers sync while the leader does.
            broadcast_submitted_on_append: Some(true),
            max_payload_entries: MESSAGE_ENTRIES_MAX,
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.config.snapshot_entries),
            // Generous: a purge can overtake an apply that has not read its entries yet.
            max_in_snapshot_log_to_keep: self.config.snapshot_entries / 2,
            install_snapshot_timeout: millis(SNAPSHOT_TIMEOUT),
            ..openraft::Config::default()
        };
        let config = config.validate().map_err(|error| Error::Config(error.to_string()))?;
        Ok(Arc::new(config))
    }

    /// Follows who leads, as openraft sees it.
    async fn follow(&self, raft: Raft) {
        let mut metrics = raft.server_metrics();
        loop {
            let (elected, leader) = {
                let metrics = metrics.borrow_watched();
                let elected = (metrics.state == ServerState::Leader).then_some(metrics.vote.leader_id);
                (elected, metrics.current_leader.and_then(|id| member(&metrics.membership_config, id)))
            };
            self.core.set_elected(elected);
            self.leader.send_if_modified(|current| {
                let changed = *current != leader;
                *current = leader;
                changed
            });
            if metrics.changed().await.is_err() {
                break;
            }
        }
        let state = raft.metrics().borrow_watched().running_state.clone();
        self.leader.send_replace(None);
        self.core.fail(&state.err().map_or_else(|| "openraft has stopped".to_owned(), |fatal| fatal.to_string()));
    }

    async fn keep_up(self: Arc<Self>) {
        let mut upkeep = tokio::time::interval(UPKEEP);
        upkeep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            upkeep.tick().await;
            let Ok(raft) = self.raft() else { return };
            if self.core.take_bytes(SNAPSHOT_BYTES) && raft.trigger().snapshot().await.is_err() {
                return;
            }
            membership::promote_who_caught_up(&self).await;
        }
    }

    pub fn raft(&self) -> Result<&Raft, Error> {
        if let Some(error) = &*self.core.failure().borrow() {
            return Err(error.clone());
        }
        self.raft.get().ok_or(Error::Unavailable { reason: "it does not belong to a cluster yet" })
    }

    pub fn identity(&self) -> Option<&Identity> {
        self.identity.get()
    }

    pub fn leader(&self) -> watch::Receiver<Option<Member>> {
        self.leader.subscribe()
    }

    /// The error of whoever asked for what only the leader does.
    pub fn not_leader(&self) -> Error {
        Error::NotLeader { leader: self.leader.borrow().clone().map(Box::new) }
    }

    /// Stops everything and closes the log.
    pub async fn stop(&self) {
        let mut tasks = std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.shutdown().await;
        self.core.set_elected(None);
        if let Some(raft) = self.raft.get() {
            // A panic of openraft's was told when it happened.
            let _ = raft.shutdown().await;
        }
        self.parts.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.leader.send_replace(None);
    }

    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
    }
}

/// Refuses what cannot be meant.
fn check(config: &Config) -> Result<(), Error> {
    let refuse = |reason: String| Err(Error::Config(reason));
    if config.name.is_empty() {
        return refuse("a replica needs a name".to_owned());
    }
    if !config.advertise.contains(':') {
        return refuse(format!("'{}' is not host:port, at which others reach this replica", config.advertise));
    }
    if config.replicas == 0 || (config.replicas > 1 && config.peers.is_empty()) {
        return refuse(format!("a cluster of {} needs peers to look for", config.replicas));
    }
    std::fs::create_dir_all(&config.directory)
        .map_err(|source| crate::store::Error::Io { path: config.directory.clone(), source }.into())
}

pub(super) fn member(membership: &StoredMembership, id: u64) -> Option<Member> {
    membership.membership().get_node(&id).cloned()
}
