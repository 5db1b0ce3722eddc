//! What callers hold of the replica: cheap to clone, safe from any task.

use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use common::RunId;
use common::telemetry::Context;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use openraft::ReadPolicy;
use openraft::async_runtime::watch::WatchReceiver;
use proto::tls::Tls;
use tokio::sync::{mpsc, watch as channel};

use super::core::Answer;
use super::forward::{Attempts, Decider};
use super::shell::Shell;
use super::{Config, Error, Member, Session, Status, backup, forward, membership, status, watch};
use crate::leader::{Leader, Proposal};
use crate::state::{Recorded, Reply, State};
use crate::trace;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consistency {
    /// Sees everything that was acknowledged anywhere before the read began.
    Linearizable,
    /// Whatever this replica has applied.
    Stale,
}

#[derive(Clone)]
pub struct Handle {
    pub(super) shell: Arc<Shell>,
}

pub(super) async fn start(config: Config) -> Result<Handle, Error> {
    let opened = tokio::task::spawn_blocking(|| Shell::open(config)).await;
    let (shell, identity) = opened.map_err(|_| Error::Stopped("the log could not be opened".into()))??;
    let shell = Arc::new(shell);
    if let Some(identity) = identity {
        shell.take_part(identity).await?;
    }
    shell.look_for_others();
    Ok(Handle { shell })
}

impl Handle {
    /// How this replica talks to others, and they to it; plainly without it.
    pub fn tls(&self) -> Option<Tls> {
        self.shell.config.tls.clone()
    }

    /// Commits a command here, where this replica leads, and gives back what it answered.
    pub async fn propose(&self, proposal: impl Into<Proposal>) -> Result<Reply, Error> {
        self.propose_here(proposal.into()).await.map(|(_, reply)| reply)
    }

    pub(super) async fn propose_here(&self, proposal: Proposal) -> Result<Answer, Error> {
        self.shell.raft()?;
        let span = proposal.span.map(|parent| (parent, self.shell.core.now()));
        let answered = self.shell.core.propose(proposal).map_err(|error| self.say_who_leads(error))?;
        let answer = answered.await.map_err(|_| Error::Unknown { reason: "this replica stopped leading" })?;
        if let (Some((parent, began_at)), Ok((index, _))) = (span, &answer) {
            let place = Context { span: parent.span.child("commit", *index), ..parent };
            trace::committed(place, parent.span, *index, (began_at, self.shell.core.now()));
        }
        answer.map_err(|error| self.say_who_leads(error))
    }

    /// Commits a command here or through the leader, and returns when this replica has applied it too. Waits a few seconds for
    /// a leader where there is none.
    pub async fn forward(&self, proposal: impl Into<Proposal>) -> Result<Reply, Error> {
        let proposal = proposal.into();
        self.shell.raft()?;
        let mut attempts = Attempts::new(&self.shell);
        let (index, reply) = loop {
            let outcome = match attempts.decider() {
                Ok(Decider::Here) => self.propose_here(proposal.clone()).await,
                Ok(Decider::Other(leader)) => forward::propose(&self.shell, &leader, &proposal).await,
                Err(error) => Err(error),
            };
            if let Some(decided) = attempts.settle(outcome).await? {
                break decided;
            }
        };
        // The command is committed; a replica that stops before it has applied it cannot say more.
        self.has_applied(index).await.map_err(|_| Error::Unknown { reason: "this replica stopped" })?;
        Ok(reply)
    }

    /// Asks the state. The question is asked under a lock: it should copy what it needs and return.
    pub async fn read<T>(&self, consistency: Consistency, question: impl FnOnce(&State) -> T) -> Result<T, Error> {
        self.shell.raft()?;
        if consistency == Consistency::Linearizable {
            self.catch_up().await?;
        }
        Ok(self.shell.core.read(question))
    }

    /// As [`Handle::read`], and where this replica leads with what it knows of its workers, which is in no log.
    pub async fn read_live<T>(
        &self,
        consistency: Consistency,
        question: impl FnOnce(&State, Option<&Leader>) -> T,
    ) -> Result<T, Error> {
        self.shell.raft()?;
        if consistency == Consistency::Linearizable {
            self.catch_up().await?;
        }
        Ok(self.shell.core.read_live(question))
    }

    /// Asks the state as it is, where this replica leads; none where it does not.
    pub fn read_leading<T>(&self, question: impl FnOnce(&State) -> T) -> Option<T> {
        self.shell.core.read_leading(question)
    }

    /// Waits until this replica has applied everything that was acknowledged before.
    pub(super) async fn catch_up(&self) -> Result<(), Error> {
        self.shell.raft()?;
        let mut attempts = Attempts::new(&self.shell);
        let index = loop {
            let outcome = match attempts.decider() {
                Ok(Decider::Here) => self.read_index_here().await,
                Ok(Decider::Other(leader)) => forward::read_index(&self.shell, &leader).await,
                Err(error) => Err(error),
            };
            if let Some(decided) = attempts.settle(outcome).await? {
                break decided;
            }
        };
        self.has_applied(index).await
    }

    /// What must be applied to see everything that was acknowledged so far. Only the leader knows.
    pub(super) async fn read_index_here(&self) -> Result<u64, Error> {
        let read = self.shell.raft()?.get_read_log_id(ReadPolicy::ReadIndex).await;
        read.map(|(read, _)| read.index()).map_err(|_| self.shell.not_leader())
    }

    /// Waits until this replica has applied an entry.
    async fn has_applied(&self, index: u64) -> Result<(), Error> {
        let (mut applied, mut failure) = (self.shell.core.applied(), self.shell.core.failure());
        tokio::select! {
            // The core lives as long as this handle.
            _ = applied.wait_for(|applied| *applied >= index) => Ok(()),
            _ = failure.wait_for(Option::is_some) => Err(Error::Unavailable { reason: "it has stopped" }),
        }
    }

    /// Opens a session for a worker; only the leader does.
    pub fn connect_worker(&self) -> Result<Session, Error> {
        self.shell.raft()?;
        Session::open(&self.shell.core).map_err(|error| self.say_who_leads(error))
    }

    /// The run's journal after `sequence`, and then on as it grows; ends after the run's last event. Any replica will do, and
    /// a stream continued at another has no gap and no repeat. Of a run that is not known here it is asked first whether this
    /// replica is only behind.
    pub fn watch(&self, run: RunId, after: u64) -> BoxStream<'static, Result<Recorded, Error>> {
        let handle = self.clone();
        let events = async move {
            if handle.shell.core.read(|state| state.run(&run).is_none()) {
                handle.read(Consistency::Linearizable, |_| ()).await?;
            }
            Ok::<_, Error>(watch::events(handle.shell.core.clone(), run, after))
        };
        futures::stream::once(events).try_flatten().boxed()
    }

    /// Index of the last entry that this replica has applied, as it grows.
    pub fn applied(&self) -> channel::Receiver<u64> {
        self.shell.core.applied()
    }

    /// Who leads, as far as this replica knows.
    pub fn leader(&self) -> channel::Receiver<Option<Member>> {
        self.shell.leader()
    }

    pub fn status(&self) -> Status {
        status::of(&self.shell)
    }

    /// Waits until the status is as asked.
    pub async fn status_when(&self, is_as_asked: impl Fn(&Status) -> bool) -> Result<Status, Error> {
        let mut leader = self.leader();
        loop {
            let status = self.status();
            if is_as_asked(&status) {
                return Ok(status);
            }
            match self.shell.raft() {
                Ok(raft) => {
                    // Once it stops, the next turn says why.
                    let _ = raft.metrics().changed().await;
                }
                Err(Error::Unavailable { .. }) => {
                    // The sender lives as long as this handle.
                    let _ = leader.changed().await;
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// The file that holds a blob's bytes, by the hexadecimal SHA-256 of its content. Read it once the state says that the
    /// blob is complete.
    pub fn blob(&self, digest: &str) -> PathBuf {
        self.shell.core.blobs().path(digest)
    }

    /// The file that holds the transcripts of a run's attempts; the state says where in it each is. This replica may lack it.
    pub fn transcripts(&self, run: RunId) -> PathBuf {
        self.shell.core.blobs().path(&run.to_string())
    }

    /// Writes a backup of everything that was acknowledged before, in pieces; a failure is the last one. Any replica will do.
    pub async fn back_up(&self) -> Result<mpsc::Receiver<std::io::Result<Bytes>>, Error> {
        backup::of(self).await
    }

    /// Lets a replica join under the id it was given; it receives the log and does not vote.
    pub async fn add_learner(&self, member: Member) -> Result<(), Error> {
        membership::add_learner(&self.shell, member).await
    }

    /// A learner that has caught up becomes a voter; a voter of the same name, whose volume is lost, leaves.
    pub async fn promote(&self, replica: u64) -> Result<(), Error> {
        membership::promote(&self.shell, replica).await
    }

    /// The replica leaves for good.
    pub async fn remove(&self, replica: u64) -> Result<(), Error> {
        membership::remove(&self.shell, replica).await
    }

    /// Hands leadership over; to whoever is furthest where no replica is named. Returns who leads then.
    pub async fn transfer(&self, to: Option<u64>) -> Result<Member, Error> {
        membership::transfer(&self.shell, to).await
    }

    /// Resolves when the replica has stopped by itself and says why: the process should end. Never resolves after
    /// [`Handle::shutdown`].
    pub async fn stopped(&self) -> Error {
        let mut failure = self.shell.core.failure();
        match failure.wait_for(Option::is_some).await.map(|failure| failure.clone()) {
            Ok(Some(error)) => error,
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Whether this replica leads and has applied everything of terms before its own.
    pub fn is_leading(&self) -> bool {
        self.shell.core.is_leading()
    }

    /// Whether the replica belongs to a cluster and knows a leader: readiness.
    pub fn is_ready(&self) -> bool {
        self.shell.raft().is_ok() && self.shell.leader().borrow().is_some()
    }

    /// Hands leadership over if it leads, then stops and closes the log.
    pub async fn shutdown(&self) {
        match self.transfer(None).await {
            Ok(leader) => tracing::info!(leader = leader.name, "handed leadership over"),
            Err(Error::NotLeader { .. } | Error::Membership(_)) => {}
            Err(error) => tracing::warn!(%error, "leadership could not be handed over"),
        }
        self.shell.stop().await;
    }

    /// Stops without handing anything over, and closes the log.
    pub async fn stop(&self) {
        self.shell.stop().await;
    }

    fn say_who_leads(&self, error: Error) -> Error {
        if matches!(error, Error::NotLeader { .. }) { self.shell.not_leader() } else { error }
    }
}
