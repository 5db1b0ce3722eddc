//! The log's form on disk: entries under their index, vote, committed and purged under names, and the number of the last write.
//!
//! Invariants:
//! - Every write carries its number. The mark beside the database tells the last number that was acknowledged, so a database
//!   that has lost writes, entries or votes, is noticed at opening.
//! - The purged log id is on disk before the entries it covers are removed; nothing reads them from then on.

use std::path::Path;

use tokio::time::Instant;

use super::codec::{decode_entry, decode_log_id, decode_vote, encode_entry, encode_log_id, encode_vote};
use crate::metrics;
use crate::raft::{Entry, LogId, Vote};
use crate::store::database::{self, Database, REMOVE_BATCH, VALUE_BYTES_MAX, Values};
use crate::store::mark::Mark;
use crate::store::{Damage, Error, SyncData};

const VOTE: &str = "vote";
const COMMITTED: &str = "committed";
const PURGED: &str = "purged";
const WRITE: &str = "write";

pub(super) struct Disk {
    database: Database,
    mark: Mark,
    writes: u64,
    /// Entries below this index are being removed.
    purged: u64,
}

/// What the disk held at opening.
pub(super) struct Found {
    pub vote: Option<Vote>,
    pub committed: Option<LogId>,
    pub purged: Option<LogId>,
    pub last: Option<LogId>,
}

/// Everything of one write.
pub(super) struct Write {
    batch: sled::Batch,
    pub is_empty: bool,
}

impl Write {
    pub fn new() -> Self {
        Self { batch: sled::Batch::default(), is_empty: true }
    }

    pub fn append(&mut self, entries: &[Entry]) -> Result<(), Error> {
        for entry in entries {
            let (index, bytes) = (entry.log_id.index, encode_entry(entry));
            if bytes.len() > VALUE_BYTES_MAX {
                return Err(Error::TooLarge { index, bytes: bytes.len() });
            }
            database::insert(&mut self.batch, index, &bytes);
        }
        self.is_empty &= entries.is_empty();
        Ok(())
    }

    pub fn vote(&mut self, vote: &Vote) {
        self.named(VOTE, &encode_vote(vote));
    }

    pub fn committed(&mut self, committed: Option<&LogId>) {
        if let Some(committed) = committed {
            self.named(COMMITTED, &encode_log_id(committed));
        }
    }

    pub fn purged(&mut self, upto: &LogId) {
        self.named(PURGED, &encode_log_id(upto));
    }

    fn named(&mut self, name: &str, value: &[u8]) {
        database::insert_named(&mut self.batch, name, value);
        self.is_empty = false;
    }
}

impl Disk {
    /// Opens or makes the log and checks every entry of it.
    pub fn open(directory: &Path, sync: SyncData) -> Result<(Self, Found), Error> {
        let database = Database::open(directory, sync)?;
        let (mark, acknowledged) = Mark::open(&directory.join("acknowledged")).map_err(|source| database.io(source))?;
        let values = database.values();
        let purged = named(values, PURGED, decode_log_id)?;
        let last = check(values, purged)?.max(purged);
        let writes = named(values, WRITE, decode_number)?.unwrap_or(0);
        if writes < acknowledged {
            return Err(Error::WritesLost { last: last.map_or(0, |last| last.index) });
        }
        let found = Found {
            vote: named(values, VOTE, decode_vote)?,
            committed: named(values, COMMITTED, decode_log_id)?,
            purged,
            last,
        };
        let purged = purged.map_or(0, |purged| purged.index + 1);
        Ok((Self { database, mark, writes, purged }, found))
    }

    pub fn values(&self) -> &Values {
        self.database.values()
    }

    /// Durable on return.
    pub fn write(&mut self, mut write: Write) -> Result<(), Error> {
        self.writes += 1;
        write.named(WRITE, &self.writes.to_be_bytes());
        let began = Instant::now();
        self.database.write(write.batch)?;
        self.mark.set(self.writes).map_err(|source| self.database.io(source))?;
        if let Some(metrics) = metrics::get() {
            metrics.synced(began.elapsed());
        }
        Ok(())
    }

    /// Removes entries from an index on, all or none.
    pub fn truncate(&mut self, from: u64) -> Result<(), Error> {
        match self.values().removal(from..u64::MAX, usize::MAX)? {
            Some(batch) => self.write(Write { batch, is_empty: false }),
            None => Ok(()),
        }
    }

    /// Entries below this index may go.
    pub fn purge(&mut self, end: u64) {
        self.purged = self.purged.max(end);
    }

    /// Removes some of what may go; false when nothing is left.
    pub fn remove_purged(&mut self) -> Result<bool, Error> {
        match self.values().removal(0..self.purged, REMOVE_BATCH)? {
            Some(batch) => self.write(Write { batch, is_empty: false }).map(|()| true),
            None => Ok(false),
        }
    }
}

fn named<T>(values: &Values, name: &str, decode: fn(&[u8]) -> Result<T, Damage>) -> Result<Option<T>, Error> {
    let damaged = |damage| match damage {
        Damage::Version(_) => Error::TooNew { path: values.directory() },
        _ => Error::CorruptValue { path: values.directory(), name: name.to_owned() },
    };
    values.named(name)?.map(|bytes| decode(&bytes).map_err(damaged)).transpose()
}

fn decode_number(bytes: &[u8]) -> Result<u64, Damage> {
    bytes.try_into().map(u64::from_be_bytes).map_err(|_| Damage::Shape)
}

/// Checks that entries follow one another from the first that is not purged, and finds the last.
fn check(values: &Values, purged: Option<LogId>) -> Result<Option<LogId>, Error> {
    let mut last: Option<LogId> = None;
    let mut next = purged.map_or(0, |purged| purged.index + 1);
    values.scan(next..u64::MAX, |index, bytes| {
        let entry = decode_entry(index, bytes).map_err(|damage| damaged(values, index, damage))?;
        if index != next {
            return Err(Error::CorruptEntry {
                index: next,
                reason: "it is missing, though later ones are there".to_owned(),
            });
        }
        last = Some(entry.log_id);
        next += 1;
        Ok(())
    })?;
    Ok(last)
}

pub(super) fn damaged(values: &Values, index: u64, damage: Damage) -> Error {
    match damage {
        Damage::Version(_) => Error::TooNew { path: values.directory() },
        _ => Error::CorruptEntry { index, reason: damage.to_string() },
    }
}
