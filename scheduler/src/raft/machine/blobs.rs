//! The bytes of blobs, each in a file named by its digest. The state knows which there are and how much of each has arrived.
//!
//! Invariant: a blob's bytes are on disk before the snapshot that covers the commands that brought them; until then the log
//! brings them again.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::state::State;

#[derive(Clone, Debug)]
pub struct Blobs {
    directory: PathBuf,
}

impl Blobs {
    pub fn new(directory: &Path) -> Self {
        Self { directory: directory.join("blobs") }
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Where a blob is, by the hexadecimal form of its digest.
    pub fn path(&self, digest: &str) -> PathBuf {
        self.directory.join(digest)
    }

    /// Writes a piece of a blob. Not durable before [`Blobs::sync`].
    pub fn write(&self, digest: &str, offset: u64, bytes: &[u8]) -> std::io::Result<()> {
        let file = match self.open(digest) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                std::fs::create_dir_all(&self.directory)?;
                self.open(digest)?
            }
            opened => opened?,
        };
        file.write_all_at(bytes, offset)
    }

    fn open(&self, digest: &str) -> std::io::Result<File> {
        File::options().write(true).create(true).truncate(false).open(self.path(digest))
    }

    /// Forgets a blob.
    pub fn remove(&self, digest: &str) -> std::io::Result<()> {
        match std::fs::remove_file(self.path(digest)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Digest of what the state holds, and how much of it is there.
    pub(super) fn needed(state: &State) -> Vec<(String, u64)> {
        state.projects().blobs().map(|(digest, blob)| (digest.to_string(), blob.received)).collect()
    }

    /// Makes what the state holds durable. What is gone was collected since: the log tells so to whoever gets the state.
    pub(super) fn sync(&self, state: &State) -> std::io::Result<Vec<(String, u64)>> {
        let mut held = Self::needed(state);
        held.retain(|(digest, _)| self.path(digest).exists());
        for (digest, _) in &held {
            File::open(self.path(digest))?.sync_all()?;
        }
        if !held.is_empty() {
            File::open(&self.directory)?.sync_all()?;
        }
        Ok(held)
    }
}
