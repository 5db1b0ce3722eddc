//! The index of the last acknowledged entry, beside the log.
//!
//! sled takes damage in the middle of its file for the end of it and forgets what follows without a word. The mark tells. It is
//! written after the entries are synced and not synced itself: after a power loss it may be too low, but never too high.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

const BYTES: usize = 12;

#[derive(Debug)]
pub(crate) struct Mark {
    file: File,
}

impl Mark {
    /// The mark and the index it holds; 0 where there is none, or none that can be read.
    pub fn open(path: &Path) -> std::io::Result<(Self, u64)> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut bytes = Vec::with_capacity(BYTES);
        (&mut file).take(BYTES as u64).read_to_end(&mut bytes)?;
        Ok((Self { file }, decode(&bytes).unwrap_or(0)))
    }

    pub fn set(&mut self, index: u64) -> std::io::Result<()> {
        let mut bytes = [0; BYTES];
        bytes[..8].copy_from_slice(&index.to_be_bytes());
        bytes[8..].copy_from_slice(&crc32fast::hash(&index.to_be_bytes()).to_be_bytes());
        self.file.write_all_at(&bytes, 0)
    }
}

fn decode(bytes: &[u8]) -> Option<u64> {
    let (index, checksum) = bytes.split_first_chunk::<8>()?;
    let is_whole = checksum == crc32fast::hash(index).to_be_bytes();
    is_whole.then(|| u64::from_be_bytes(*index))
}
