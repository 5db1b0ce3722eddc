//! The Raft log, the vote and what is committed, on sled.
//!
//! ```text
//!   append, save_vote, truncate, purge ──▶ [queue] ──▶ flusher thread: everything queued, one batch, one fdatasync ──▶ callbacks
//!             │                                                                  │
//!             └─▶ recent entries in memory ◀── readers ──▶ chunks on sled ◀──────┘
//! ```
//!
//! Invariants:
//! - A callback is called, and a vote is saved, after its bytes survive the loss of the machine's power.
//! - Entries that are not on disk yet are in memory, so a reader sees whatever was appended.
//! - Purging and truncating leave no hole, whenever the process dies.

mod cache;
mod codec;
mod disk;
mod flusher;
mod reader;

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use openraft::storage::{IOFlushed, LogState, RaftLogStorage};
use tokio::sync::{oneshot, watch};

use super::{Entry, LogId, Types, Vote};
use crate::store::database::Values;
use crate::store::{Error, SyncData};
use cache::Cache;
use disk::Disk;

pub use codec::{decode_entry, encode_entry};
pub(crate) use codec::{decode_log_id, decode_membership, encode_log_id, encode_membership};
pub use reader::Reader;

/// The log of one replica. Closed when the last clone of its reader and the store itself are dropped.
pub struct LogStore {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
    failure: watch::Receiver<Option<Arc<str>>>,
}

struct Shared {
    inner: Mutex<Inner>,
    /// Signalled when there is something to do for the flusher.
    work: Condvar,
    values: Values,
}

#[derive(Default)]
struct Inner {
    queue: Vec<Operation>,
    cache: Cache,
    vote: Option<Vote>,
    committed: Option<LogId>,
    /// Not on disk yet; it rides on the next write.
    committed_changed: bool,
    purged: Option<LogId>,
    last: Option<LogId>,
    closing: bool,
    /// Why nothing is written any more.
    failed: Option<Arc<str>>,
}

/// What the flusher does, in order.
enum Operation {
    Append {
        entries: Vec<Entry>,
        flushed: IOFlushed<Types>,
    },
    SaveVote {
        vote: Vote,
        saved: oneshot::Sender<std::io::Result<()>>,
    },
    /// Removes entries from an index on.
    Truncate {
        from: u64,
        done: oneshot::Sender<std::io::Result<()>>,
    },
    Purge {
        upto: LogId,
    },
}

impl LogStore {
    /// Opens or makes the log in a folder and checks every entry of it. Blocks.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        Self::open_with(directory, Box::new(std::fs::File::sync_data))
    }

    /// [`LogStore::open`] with another way to sync.
    pub fn open_with(directory: &Path, sync: SyncData) -> Result<Self, Error> {
        let (disk, found) = Disk::open(directory, sync)?;
        let inner = Inner {
            vote: found.vote,
            committed: found.committed,
            purged: found.purged,
            last: found.last,
            ..Inner::default()
        };
        let values = disk.values().clone();
        let shared = Arc::new(Shared { inner: Mutex::new(inner), work: Condvar::new(), values });
        let (tell, failure) = watch::channel(None);
        let flusher = flusher::Flusher::new(shared.clone(), disk, tell);
        let thread = std::thread::Builder::new().name("raft-log".to_owned()).spawn(move || flusher.run());
        let thread = thread.map_err(|source| Error::Io { path: directory.to_owned(), source })?;
        Ok(Self { shared, thread: Some(thread), failure })
    }

    /// Why nothing is written any more, once that is so.
    pub fn failure(&self) -> watch::Receiver<Option<Arc<str>>> {
        self.failure.clone()
    }

    /// Whether it holds nothing: no entry, no vote, nothing purged.
    pub fn is_empty(&self) -> bool {
        let inner = self.shared.lock();
        inner.vote.is_none() && inner.last.is_none() && inner.purged.is_none()
    }
}

impl Drop for LogStore {
    fn drop(&mut self) {
        self.shared.lock().closing = true;
        self.shared.work.notify_one();
        if let Some(thread) = self.thread.take() {
            // The flusher tells of its own failures; it does not panic for others.
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues an operation after `change` was made to what readers see.
    fn queue(&self, operation: Operation, change: impl FnOnce(&mut Inner)) -> std::io::Result<()> {
        let mut inner = self.lock();
        if let Some(reason) = &inner.failed {
            return Err(std::io::Error::other(reason.to_string()));
        }
        change(&mut inner);
        inner.queue.push(operation);
        drop(inner);
        self.work.notify_one();
        Ok(())
    }
}

impl RaftLogStorage<Types> for LogStore {
    type LogReader = Reader;

    async fn get_log_state(&mut self) -> std::io::Result<LogState<Types>> {
        let inner = self.shared.lock();
        Ok(LogState { last_purged_log_id: inner.purged, last_log_id: inner.last })
    }

    async fn get_log_reader(&mut self) -> Reader {
        Reader { shared: self.shared.clone() }
    }

    async fn save_vote(&mut self, vote: &Vote) -> std::io::Result<()> {
        let (saved, result) = oneshot::channel();
        self.shared.queue(Operation::SaveVote { vote: *vote, saved }, |inner| inner.vote = Some(*vote))?;
        result.await.unwrap_or_else(|_| Err(flusher_gone()))
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> std::io::Result<()> {
        let mut inner = self.shared.lock();
        inner.committed = committed;
        inner.committed_changed = true;
        Ok(())
    }

    async fn read_committed(&mut self) -> std::io::Result<Option<LogId>> {
        Ok(self.shared.lock().committed)
    }

    async fn append<I>(&mut self, entries: I, flushed: IOFlushed<Types>) -> std::io::Result<()>
    where
        I: IntoIterator<Item = Entry> + Send,
        I::IntoIter: Send,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        let cached = entries.clone();
        self.shared.queue(Operation::Append { entries, flushed }, |inner| {
            if let Some(last) = cached.last() {
                inner.last = Some(last.log_id);
            }
            inner.cache.append(cached);
        })
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> std::io::Result<()> {
        let from = last.map_or(0, |last| last.index + 1);
        let (done, result) = oneshot::channel();
        self.shared.queue(Operation::Truncate { from, done }, |inner| {
            inner.cache.truncate(from);
            inner.last = inner.last.min(last).max(inner.purged);
        })?;
        result.await.unwrap_or_else(|_| Err(flusher_gone()))
    }

    async fn purge(&mut self, upto: LogId) -> std::io::Result<()> {
        self.shared.queue(Operation::Purge { upto }, |inner| {
            inner.cache.purge(upto.index);
            inner.purged = inner.purged.max(Some(upto));
            inner.last = inner.last.max(Some(upto));
        })
    }
}

fn flusher_gone() -> std::io::Error {
    std::io::Error::other("the log is closed")
}
