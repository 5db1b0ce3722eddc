//! The state machine as openraft sees it: applies committed entries to a [`Core`], and saves and installs Raft snapshots.
//!
//! Invariants:
//! - The state lives in memory. What is in the log below the snapshot may go only after the snapshot is on disk.
//! - A snapshot on disk is never replaced by an older one.
//! - Every responder is answered.

mod blobs;
mod snapshot;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use futures::{Stream, TryStreamExt};
use openraft::entry::RaftEntry;
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};

use super::{Data, LogId, Payload, SnapshotMeta, StoredMembership, Types};
use crate::state::State;
use crate::store::Error;

pub use blobs::Blobs;
pub(crate) use blobs::Kind;
pub(crate) use snapshot::{Aside, decode_meta, encode_meta, establish};
pub use snapshot::{Content, Saved, decode_snapshot, encode_snapshot};

/// What entries are applied to.
pub trait Core: Send + Sync + 'static {
    /// Applies one entry, in the order of the log. Without data it is a blank one or a change of membership.
    fn apply(&self, log_id: LogId, data: Option<&Data>) -> std::io::Result<()>;

    /// A copy of the state, for a snapshot.
    fn state(&self) -> State;

    /// Takes the place of whatever state there was.
    fn install(&self, last: Option<LogId>, state: State);
}

pub struct Machine {
    core: Arc<dyn Core>,
    applied: Option<LogId>,
    membership: StoredMembership,
    saved: Arc<Mutex<Saved>>,
}

impl Machine {
    /// Loads the snapshot of a folder, if there is one, into the core. Blocks.
    pub fn open(directory: &Path, core: Arc<dyn Core>) -> Result<Self, Error> {
        let mut saved = Saved::new(directory);
        let (mut applied, mut membership) = (None, StoredMembership::default());
        if let Some((meta, state)) = saved.load()? {
            let swept = Blobs::new(directory).sweep(&state);
            swept.map_err(|source| Error::Io { path: directory.to_owned(), source })?;
            core.install(meta.last_log_id, state);
            (applied, membership) = (meta.last_log_id, meta.last_membership);
        }
        Ok(Self { core, applied, membership, saved: Arc::new(Mutex::new(saved)) })
    }

    fn meta(&self) -> SnapshotMeta {
        SnapshotMeta { last_log_id: self.applied, last_membership: self.membership.clone() }
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = Content;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> std::io::Result<(Option<LogId>, StoredMembership)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> std::io::Result<()>
    where
        S: Stream<Item = std::io::Result<EntryResponder<Types>>> + Unpin + Send,
    {
        while let Some((entry, responder)) = entries.try_next().await? {
            let log_id = entry.log_id();
            let data = match &entry.payload {
                Payload::Normal(data) => Some(data),
                Payload::Blank => None,
                Payload::Membership(membership) => {
                    self.membership = StoredMembership::new(Some(log_id), membership.clone());
                    None
                }
            };
            self.core.apply(log_id, data)?;
            self.applied = Some(log_id);
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        Builder { meta: self.meta(), state: Some(self.core.state()), saved: self.saved.clone() }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, content: Content) -> std::io::Result<()> {
        let (saved, meta_of) = (self.saved.clone(), meta.clone());
        let state = blocking(move || {
            let state = content.read(&meta_of)?;
            lock(&saved).replace(meta_of, content)?;
            Ok(state)
        })
        .await?;
        self.core.install(meta.last_log_id, state);
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> std::io::Result<Option<SnapshotOf>> {
        let saved = self.saved.clone();
        blocking(move || lock(&saved).current()).await
    }
}

type SnapshotOf = openraft::type_config::alias::SnapshotOf<Types, Content>;

/// A copy of the state at one moment, to be saved.
pub struct Builder {
    meta: SnapshotMeta,
    state: Option<State>,
    saved: Arc<Mutex<Saved>>,
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Content;

    async fn build_snapshot(&mut self) -> std::io::Result<SnapshotOf> {
        let state = self.state.take().ok_or_else(|| std::io::Error::other("a snapshot is built once"))?;
        let (meta, saved) = (self.meta.clone(), self.saved.clone());
        blocking(move || {
            let bytes = encode_snapshot(&meta, &state);
            let directory = lock(&saved).directory();
            let content = Content::write(&directory, &bytes, &state)?;
            let mut saved = lock(&saved);
            saved.replace(meta, content)?;
            saved.current()?.ok_or_else(|| std::io::Error::other("the snapshot just saved is gone"))
        })
        .await
    }
}

fn lock(saved: &Mutex<Saved>) -> std::sync::MutexGuard<'_, Saved> {
    saved.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Files are read and written off the runtime's threads.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> std::io::Result<T> + Send + 'static) -> std::io::Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(std::io::Error::other)?
}
