//! What callers hold of the replica: cheap to clone, safe from any task.

use std::path::PathBuf;
use std::sync::Arc;

use common::RunId;
use futures::stream::BoxStream;
use tokio::sync::watch;

use super::{Config, Error, Member, Session, Status};
use crate::state::{Command, Event, Reply, State};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// Sees everything that was acknowledged anywhere before the read began.
    Linearizable,
    /// Whatever this replica has applied.
    Stale,
}

/// A command and the trace it belongs to.
#[derive(Clone, Debug)]
pub struct Proposal {
    pub command: Command,
    /// W3C trace context.
    pub traceparent: Option<String>,
}

impl From<Command> for Proposal {
    fn from(command: Command) -> Self {
        Self { command, traceparent: None }
    }
}

/// One event of a run's journal. Numbers begin at 1 and have no gaps.
#[derive(Clone, Debug)]
pub struct Watched {
    pub sequence: u64,
    pub event: Event,
}

#[derive(Clone)]
pub struct Handle {
    config: Arc<Config>,
    leader: watch::Receiver<Option<Member>>,
}

pub(super) async fn start(config: Config) -> Result<Handle, Error> {
    let (_, leader) = watch::channel(None);
    Ok(Handle { config: Arc::new(config), leader })
}

impl Handle {
    /// Commits a command here, where this replica leads, and gives back what it answered.
    pub async fn propose(&self, _proposal: impl Into<Proposal>) -> Result<Reply, Error> {
        Err(Error::NotLeader { leader: None })
    }

    /// Commits a command here or through the leader, and returns when this replica has applied it too.
    pub async fn forward(&self, _proposal: impl Into<Proposal>) -> Result<Reply, Error> {
        Err(Error::NotLeader { leader: None })
    }

    /// Asks the state. The question is asked under a lock: it should copy what it needs and return.
    pub async fn read<T>(&self, _consistency: Consistency, question: impl FnOnce(&State) -> T) -> Result<T, Error> {
        Ok(question(&State::default()))
    }

    /// Opens a session for a worker; only the leader does.
    pub fn connect_worker(&self) -> Result<Session, Error> {
        Err(Error::NotLeader { leader: None })
    }

    /// The run's journal after `sequence`, and then on as it grows; ends after the run's last event. Any replica will do, and
    /// a stream continued at another has no gap and no repeat.
    pub fn watch(&self, _run: RunId, _after: u64) -> BoxStream<'static, Result<Watched, Error>> {
        Box::pin(futures::stream::empty())
    }

    /// Who leads, as far as this replica knows.
    pub fn leader(&self) -> watch::Receiver<Option<Member>> {
        self.leader.clone()
    }

    pub fn status(&self) -> Status {
        Status::default()
    }

    /// The file that holds a blob's bytes, by the hexadecimal SHA-256 of its content. Read it once the state says that the
    /// blob is complete.
    pub fn blob(&self, digest: &str) -> PathBuf {
        self.config.directory.join("blobs").join(digest)
    }

    /// Lets a replica join under the id it was given; it receives the log and does not vote.
    pub async fn add_learner(&self, _member: Member) -> Result<(), Error> {
        Err(Error::NotLeader { leader: None })
    }

    /// A learner that has caught up becomes a voter.
    pub async fn promote(&self, _replica: u64) -> Result<(), Error> {
        Err(Error::NotLeader { leader: None })
    }

    /// The replica leaves for good.
    pub async fn remove(&self, _replica: u64) -> Result<(), Error> {
        Err(Error::NotLeader { leader: None })
    }

    /// Hands leadership over; to whoever is furthest where no replica is named. Returns who leads then.
    pub async fn transfer(&self, _to: Option<u64>) -> Result<Member, Error> {
        Err(Error::NotLeader { leader: None })
    }

    /// Resolves when the replica has stopped by itself and says why: the process should end. Never resolves after
    /// [`Handle::shutdown`].
    pub async fn stopped(&self) -> Error {
        std::future::pending().await
    }

    /// Whether the replica belongs to a cluster and knows a leader: readiness.
    pub fn is_ready(&self) -> bool {
        self.leader.borrow().is_some()
    }

    /// Hands leadership over if it leads, then stops and closes the log.
    pub async fn shutdown(&self) {}
}
