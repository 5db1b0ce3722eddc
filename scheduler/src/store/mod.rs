//! The durable log and its snapshots, behind one trait.
//!
//! Invariant: when `append` returns, its entries survive the loss of the machine's power.

pub(crate) mod codec;
pub(crate) mod database;
mod lock;
pub(crate) mod mark;
mod sled_log;
mod snapshot;

use std::path::PathBuf;

use crate::entry::LogEntry;
use crate::state::State;

pub use crate::entry::Damage;
pub use codec::{decode_entry, encode_entry};
pub use database::SyncData;
pub use sled_log::SledLog;

/// One entry of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Grows from entry to entry; gaps are allowed.
    pub index: u64,
    pub content: LogEntry,
}

pub trait Log: Send {
    /// Index of the last entry, appended or covered by the snapshot; 0 for an empty log.
    fn last_index(&self) -> u64;

    /// Adds entries, all or none, whose indexes grow and are above [`Log::last_index`]. After an error the outcome is unknown
    /// and the log must be opened again.
    fn append(&mut self, entries: &[Entry]) -> Result<(), Error>;

    /// Calls `visit` with every entry from `index` on, in order.
    fn read(&self, index: u64, visit: &mut dyn FnMut(Entry)) -> Result<(), Error>;

    /// Removes entries from `index` on.
    fn truncate(&mut self, index: u64) -> Result<(), Error>;

    /// The state as of the last snapshot.
    fn snapshot(&self) -> Result<Option<State>, Error>;

    /// Saves the state and then forgets the entries it covers.
    fn compact(&mut self, state: &State) -> Result<(), Error>;

    /// Entries since the last snapshot.
    fn len(&self) -> u64;

    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path} is in use by another process{}", holder.map(|pid| format!(" (process {pid})")).unwrap_or_default())]
    Locked { path: PathBuf, holder: Option<u32> },
    #[error("entry {index} of the log cannot be read: {reason}")]
    CorruptEntry { index: u64, reason: String },
    #[error("the log ends at entry {last}, but entry {acknowledged} was acknowledged: its file is damaged")]
    EntriesLost { last: u64, acknowledged: u64 },
    #[error("the log ends at entry {last}, but more was acknowledged: its file is damaged")]
    WritesLost { last: u64 },
    #[error("the value '{name}' of the log in {path} is damaged")]
    CorruptValue { path: PathBuf, name: String },
    #[error("{path} cannot be read: {reason}")]
    CorruptSnapshot { path: PathBuf, reason: String },
    #[error("{path} was written by a newer version")]
    TooNew { path: PathBuf },
    #[error("entry {index} is too large: {bytes} bytes")]
    TooLarge { index: u64, bytes: usize },
    #[error("entry {index} does not come after entry {last}")]
    OutOfOrder { index: u64, last: u64 },
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path}: {source}")]
    Sled { path: PathBuf, source: sled::Error },
}
