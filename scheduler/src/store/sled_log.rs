//! The log of one process, on sled.
//!
//! Invariants:
//! - sled takes damage in the middle of its file for its end: a mark beside it tells how far the log must reach.
//! - Each entry names the one before it, so a hole is noticed at opening.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::codec;
use super::database::{self, Database, SyncData, VALUE_BYTES_MAX};
use super::mark::Mark;
use super::{Damage, Entry, Error, Log, snapshot};
use crate::state::State;

pub struct SledLog {
    database: Database,
    mark: Mark,
    directory: PathBuf,
    last: u64,
    entries: u64,
}

impl SledLog {
    /// Opens or makes the log in a folder and checks every entry of it.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        Self::open_with(directory, Box::new(File::sync_data))
    }

    /// [`SledLog::open`] with another way to sync.
    pub fn open_with(directory: &Path, sync: SyncData) -> Result<Self, Error> {
        let database = Database::open(directory, sync)?;
        let (mark, acknowledged) = Mark::open(&directory.join("acknowledged")).map_err(|source| database.io(source))?;
        let mut log = Self { database, mark, directory: directory.to_owned(), last: 0, entries: 0 };
        log.check()?;
        if log.last < acknowledged {
            return Err(Error::EntriesLost { last: log.last, acknowledged });
        }
        Ok(log)
    }

    /// Checks the snapshot and the chain of entries, and finds the last.
    fn check(&mut self) -> Result<(), Error> {
        let covered = match snapshot::read(&self.directory)? {
            Some(bytes) => {
                codec::open_snapshot(&bytes).map_err(|damage| snapshot::damaged(&self.directory, damage))?.number
            }
            None => 0,
        };
        let (mut last, mut entries) = (None, 0);
        // Below it may be half an entry, left of an interrupted removal.
        self.scan(covered + 1, |index, bytes| {
            let frame = codec::open_entry(index, bytes).map_err(|damage| self.damaged(index, damage))?;
            let follows = match last {
                Some(last) => frame.number == last,
                None => frame.number <= covered,
            };
            if !follows {
                return Err(Error::CorruptEntry { index, reason: "the entry before it is missing".to_owned() });
            }
            last = Some(index);
            entries += 1;
            Ok(())
        })?;
        self.last = last.unwrap_or(0).max(covered);
        self.entries = entries;
        Ok(())
    }

    fn scan(&self, from: u64, visit: impl FnMut(u64, &[u8]) -> Result<(), Error>) -> Result<(), Error> {
        self.database.values().scan(from..u64::MAX, visit)
    }

    fn mark(&mut self) -> Result<(), Error> {
        self.mark.set(self.last).map_err(|source| self.database.io(source))
    }

    fn damaged(&self, index: u64, damage: Damage) -> Error {
        match damage {
            Damage::Version(_) => Error::TooNew { path: self.directory.clone() },
            _ => Error::CorruptEntry { index, reason: damage.to_string() },
        }
    }
}

impl Log for SledLog {
    fn last_index(&self) -> u64 {
        self.last
    }

    fn append(&mut self, entries: &[Entry]) -> Result<(), Error> {
        let mut batch = sled::Batch::default();
        let mut last = self.last;
        for entry in entries {
            if entry.index <= last {
                return Err(Error::OutOfOrder { index: entry.index, last });
            }
            let bytes = codec::encode_entry(entry, last);
            if bytes.len() > VALUE_BYTES_MAX {
                return Err(Error::TooLarge { index: entry.index, bytes: bytes.len() });
            }
            database::insert(&mut batch, entry.index, &bytes);
            last = entry.index;
        }
        self.database.write(batch)?;
        self.last = last;
        self.entries += entries.len() as u64;
        self.mark()
    }

    fn read(&self, index: u64, visit: &mut dyn FnMut(Entry)) -> Result<(), Error> {
        self.scan(index, |index, bytes| {
            let (entry, _) = codec::decode_entry(index, bytes).map_err(|damage| self.damaged(index, damage))?;
            visit(entry);
            Ok(())
        })
    }

    fn truncate(&mut self, index: u64) -> Result<(), Error> {
        let last = self.last;
        // First the mark: it may be too low, but not too high.
        self.last = last.min(index.saturating_sub(1));
        self.mark()?;
        self.database.truncate(index)?;
        self.check()?;
        self.mark()
    }

    fn snapshot(&self) -> Result<Option<State>, Error> {
        let Some(bytes) = snapshot::read(&self.directory)? else { return Ok(None) };
        codec::decode_snapshot(&bytes).map(Some).map_err(|damage| snapshot::damaged(&self.directory, damage))
    }

    fn compact(&mut self, state: &State) -> Result<(), Error> {
        snapshot::write(&self.directory, state)?;
        self.database.remove(0..state.applied() + 1)?;
        self.check()
    }

    fn len(&self) -> u64 {
        self.entries
    }
}
