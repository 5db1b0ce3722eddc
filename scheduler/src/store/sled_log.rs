//! The log on sled.
//!
//! Invariants:
//! - sled's `flush` writes, but does not sync on Linux: an append ends with `sync_data` on sled's file.
//! - sled puts large log messages into files of their own that it never syncs. A message is at most a leaf of some 17 values,
//!   so values are cut to 4 KiB and stay far below its threshold of 128 KiB.
//! - sled takes damage in the middle of its file for its end: a mark beside it tells how far the log must reach.
//! - Keys are index and chunk, big-endian. Each entry names the one before it, so a hole is noticed at opening.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::codec;
use super::lock::Lock;
use super::mark::Mark;
use super::{Damage, Entry, Error, Log, snapshot};
use crate::state::State;

const CHUNK: usize = 4 * 1024;
const ENTRY_BYTES_MAX: usize = CHUNK * u16::MAX as usize;
/// sled 0.34 reserves up to 1 GiB of cache by default; the log is read once and then only written.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// sled lets go of its own lock a little after it is dropped.
const REOPEN_WAIT: Duration = Duration::from_millis(5);
const REOPEN_TRIES: u32 = 400;
/// Removed in one batch when the log is cut.
const REMOVE_BATCH: usize = 1_000;

/// Makes what was written to the file durable. Tests put a failing or a recording one in the place of `File::sync_data`.
pub type SyncData = Box<dyn FnMut(&File) -> std::io::Result<()> + Send>;

pub struct SledLog {
    // Declared before the lock, so closed before it is given up.
    db: sled::Db,
    file: File,
    mark: Mark,
    sync: SyncData,
    directory: PathBuf,
    last: u64,
    entries: u64,
    failed: bool,
    _lock: Lock,
}

impl SledLog {
    /// Opens or makes the log in a folder and checks every entry of it.
    pub fn open(directory: &Path) -> Result<Self, Error> {
        Self::open_with(directory, Box::new(File::sync_data))
    }

    /// [`SledLog::open`] with another way to sync.
    pub fn open_with(directory: &Path, sync: SyncData) -> Result<Self, Error> {
        let io = |source| Error::Io { path: directory.to_owned(), source };
        std::fs::create_dir_all(directory).map_err(io)?;
        let lock = Lock::take(&directory.join("lock"))?;
        let path = directory.join("log");
        let is_new = !path.join("db").exists();
        let db = open_sled(&path)?;
        if is_new {
            sync_folder(&path).and_then(|()| sync_folder(directory)).map_err(io)?;
        }
        let file = File::options().write(true).open(path.join("db")).map_err(io)?;
        let (mark, acknowledged) = Mark::open(&directory.join("acknowledged")).map_err(io)?;
        let directory = directory.to_owned();
        let mut log = Self { db, file, mark, sync, directory, last: 0, entries: 0, failed: false, _lock: lock };
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
        self.scan(0, |index, bytes| {
            let frame = codec::open_entry(index, bytes).map_err(|damage| self.damaged(index, damage))?;
            let follows = match last {
                Some(last) => frame.number == last,
                None => frame.number <= covered,
            };
            if !follows {
                return Err(Error::CorruptEntry { index, reason: "the entry before it is missing".to_owned() });
            }
            last = Some(index);
            entries += u64::from(index > covered);
            Ok(())
        })?;
        self.last = last.unwrap_or(0).max(covered);
        self.entries = entries;
        Ok(())
    }

    /// Puts the chunks of each entry together.
    fn scan(&self, from: u64, mut visit: impl FnMut(u64, &[u8]) -> Result<(), Error>) -> Result<(), Error> {
        let mut current: Option<(u64, Vec<u8>)> = None;
        for item in self.db.range(key(from, 0)..) {
            let (key, value) = item.map_err(|source| self.sled(source))?;
            let (index, chunk) =
                split_key(&key).ok_or(Error::CorruptEntry { index: 0, reason: "its key is damaged".to_owned() })?;
            match &mut current {
                Some((open, bytes)) if *open == index => bytes.extend_from_slice(&value),
                _ if chunk != 0 => {
                    return Err(Error::CorruptEntry { index, reason: "its beginning is missing".to_owned() });
                }
                _ => {
                    if let Some((open, bytes)) = current.replace((index, value.to_vec())) {
                        visit(open, &bytes)?;
                    }
                }
            }
        }
        match current {
            Some((index, bytes)) => visit(index, &bytes),
            None => Ok(()),
        }
    }

    fn write(&mut self, batch: sled::Batch) -> Result<(), Error> {
        if self.failed {
            return Err(self.io(std::io::Error::other("an earlier write failed; open the log again")));
        }
        let written = self.db.apply_batch(batch).and_then(|()| self.db.flush());
        let synced = written.map_err(|source| self.sled(source)).and_then(|_| {
            let synced = (self.sync)(&self.file);
            synced.map_err(|source| self.io(source))
        });
        self.failed = synced.is_err();
        synced
    }

    fn remove(&mut self, range: std::ops::Range<u64>) -> Result<(), Error> {
        let (from, to) = (key(range.start, 0), key(range.end, 0));
        loop {
            let mut batch = sled::Batch::default();
            let mut removed = 0;
            for found in self.db.range(from..to).keys().take(REMOVE_BATCH) {
                batch.remove(found.map_err(|source| self.sled(source))?);
                removed += 1;
            }
            if removed == 0 {
                return Ok(());
            }
            self.write(batch)?;
        }
    }

    fn mark(&mut self) -> Result<(), Error> {
        self.mark.set(self.last).map_err(|source| self.io(source))
    }

    fn damaged(&self, index: u64, damage: Damage) -> Error {
        match damage {
            Damage::Version(_) => Error::TooNew { path: self.directory.clone() },
            _ => Error::CorruptEntry { index, reason: damage.to_string() },
        }
    }

    fn sled(&self, source: sled::Error) -> Error {
        Error::Sled { path: self.directory.clone(), source }
    }

    fn io(&self, source: std::io::Error) -> Error {
        Error::Io { path: self.directory.clone(), source }
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
            if bytes.len() > ENTRY_BYTES_MAX {
                return Err(Error::TooLarge { index: entry.index, bytes: bytes.len() });
            }
            for (chunk, value) in (0u16..).zip(bytes.chunks(CHUNK)) {
                batch.insert(&key(entry.index, chunk), value);
            }
            last = entry.index;
        }
        self.write(batch)?;
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
        self.remove(index..u64::MAX)?;
        self.check()?;
        self.mark()
    }

    fn snapshot(&self) -> Result<Option<State>, Error> {
        let Some(bytes) = snapshot::read(&self.directory)? else { return Ok(None) };
        codec::decode_snapshot(&bytes).map(Some).map_err(|damage| snapshot::damaged(&self.directory, damage))
    }

    fn compact(&mut self, state: &State) -> Result<(), Error> {
        snapshot::write(&self.directory, state)?;
        self.remove(0..state.applied() + 1)?;
        self.check()
    }

    fn len(&self) -> u64 {
        self.entries
    }
}

fn open_sled(path: &Path) -> Result<sled::Db, Error> {
    let config = sled::Config::new().path(path).flush_every_ms(None).cache_capacity(CACHE_BYTES);
    let mut tries = 0;
    loop {
        match config.open() {
            // The lock beside it is ours, so only this process can still hold sled's.
            Err(sled::Error::Io(error)) if is_locked(&error) && tries < REOPEN_TRIES => {
                tries += 1;
                std::thread::sleep(REOPEN_WAIT);
            }
            Err(source) => return Err(Error::Sled { path: path.to_owned(), source }),
            Ok(db) => return Ok(db),
        }
    }
}

/// sled flattens the error of the lock to text.
fn is_locked(error: &std::io::Error) -> bool {
    error.kind() == std::io::ErrorKind::WouldBlock || error.to_string().contains("could not acquire lock")
}

/// Makes the files of a new folder, and their names, durable.
fn sync_folder(path: &Path) -> std::io::Result<()> {
    for item in std::fs::read_dir(path)? {
        let item = item?;
        if item.file_type()?.is_file() {
            File::open(item.path())?.sync_all()?;
        }
    }
    File::open(path)?.sync_all()
}

fn key(index: u64, chunk: u16) -> [u8; 10] {
    let mut key = [0; 10];
    key[..8].copy_from_slice(&index.to_be_bytes());
    key[8..].copy_from_slice(&chunk.to_be_bytes());
    key
}

fn split_key(key: &[u8]) -> Option<(u64, u16)> {
    let (index, chunk) = key.split_first_chunk::<8>()?;
    Some((u64::from_be_bytes(*index), u16::from_be_bytes(chunk.try_into().ok()?)))
}
