//! sled with writes that are really durable, and values of any size cut to chunks.
//!
//! Invariants:
//! - sled's `flush` writes, but does not sync on Linux: a write ends with `sync_data` on sled's file.
//! - sled puts large log messages into files of their own that it never syncs. A message is at most a leaf of some 17 values,
//!   so values are cut to 4 KiB and stay far below its threshold of 128 KiB.
//! - Keys are index and chunk, big-endian; names of single values sort after every index.
//! - After a write that failed nothing more is written: what is on disk is not known until it is opened again.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::Error;
use super::lock::Lock;

const CHUNK: usize = 4 * 1024;
/// Longest value under one index.
pub(crate) const VALUE_BYTES_MAX: usize = CHUNK * u16::MAX as usize;
/// sled 0.34 reserves up to 1 GiB of cache by default; a log is read once and then only written.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// sled lets go of its own lock a little after it is dropped.
const REOPEN_WAIT: Duration = Duration::from_millis(5);
const REOPEN_TRIES: u32 = 400;
/// Removed in one batch when the beginning of the log is cut.
pub(crate) const REMOVE_BATCH: usize = 1_000;

/// Makes what was written to the file durable. Tests put a failing or a recording one in the place of `File::sync_data`.
pub type SyncData = Box<dyn FnMut(&File) -> std::io::Result<()> + Send>;

pub(crate) struct Database {
    values: Values,
    file: File,
    sync: SyncData,
    failed: bool,
    // After the values, so given up when sled is closed.
    _lock: Lock,
}

/// Reads values; cheap to clone.
#[derive(Clone)]
pub(crate) struct Values {
    db: sled::Db,
    directory: Arc<Path>,
}

impl Database {
    /// Opens or makes the database `log` in a folder, for this process alone.
    pub fn open(directory: &Path, sync: SyncData) -> Result<Self, Error> {
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
        Ok(Self { values: Values { db, directory: directory.into() }, file, sync, failed: false, _lock: lock })
    }

    pub fn values(&self) -> &Values {
        &self.values
    }

    /// All or nothing, and durable on return.
    pub fn write(&mut self, batch: sled::Batch) -> Result<(), Error> {
        if self.failed {
            return Err(self.io(std::io::Error::other("an earlier write failed; open the log again")));
        }
        let db = &self.values.db;
        let written = db.apply_batch(batch).and_then(|()| db.flush());
        let synced = written.map_err(|source| self.values.sled(source)).and_then(|_| {
            let synced = (self.sync)(&self.file);
            synced.map_err(|source| self.io(source))
        });
        self.failed = synced.is_err();
        synced
    }

    /// Removes a range in steps, the lowest first. What is left of an interrupted removal may begin with half a value.
    pub fn remove(&mut self, range: Range<u64>) -> Result<(), Error> {
        while let Some(batch) = self.values.removal(range.clone(), REMOVE_BATCH)? {
            self.write(batch)?;
        }
        Ok(())
    }

    /// Removes everything from an index on, all or nothing.
    pub fn truncate(&mut self, from: u64) -> Result<(), Error> {
        self.values.removal(from..u64::MAX, usize::MAX)?.map_or(Ok(()), |batch| self.write(batch))
    }

    pub fn io(&self, source: std::io::Error) -> Error {
        Error::Io { path: self.values.directory.to_path_buf(), source }
    }
}

impl Values {
    pub fn directory(&self) -> PathBuf {
        self.directory.to_path_buf()
    }

    /// Puts the chunks of each value of a range together.
    pub fn scan(&self, range: Range<u64>, mut visit: impl FnMut(u64, &[u8]) -> Result<(), Error>) -> Result<(), Error> {
        let mut current: Option<(u64, Vec<u8>)> = None;
        for item in self.db.range(key(range.start, 0)..key(range.end, 0)) {
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

    pub fn named(&self, name: &str) -> Result<Option<sled::IVec>, Error> {
        self.db.get(name_key(name)).map_err(|source| self.sled(source))
    }

    /// Removes the first keys of a range, at most `max`; none when nothing is left.
    pub fn removal(&self, range: Range<u64>, max: usize) -> Result<Option<sled::Batch>, Error> {
        let mut batch = sled::Batch::default();
        let mut removed = 0;
        for found in self.db.range(key(range.start, 0)..key(range.end, 0)).keys().take(max) {
            batch.remove(found.map_err(|source| self.sled(source))?);
            removed += 1;
        }
        Ok((removed > 0).then_some(batch))
    }

    fn sled(&self, source: sled::Error) -> Error {
        Error::Sled { path: self.directory(), source }
    }
}

/// Adds a value to a batch, in chunks. It must not be longer than [`VALUE_BYTES_MAX`].
pub(crate) fn insert(batch: &mut sled::Batch, index: u64, value: &[u8]) {
    for (chunk, value) in (0u16..).zip(value.chunks(CHUNK)) {
        batch.insert(&key(index, chunk), value);
    }
}

/// Adds a small value under a name to a batch.
pub(crate) fn insert_named(batch: &mut sled::Batch, name: &str, value: &[u8]) {
    batch.insert(name_key(name), value);
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

/// No entry has the index `u64::MAX`.
fn name_key(name: &str) -> Vec<u8> {
    [&u64::MAX.to_be_bytes(), name.as_bytes()].concat()
}
