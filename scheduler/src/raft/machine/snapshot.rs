//! A Raft snapshot in a plain file: written aside, synced, renamed, and the folder synced.
//!
//! ```text
//!   version u8 · length of meta u32 · crc32 of meta u32 · meta · state (the frame of crate::store)
//!   meta: postcard(last log id, log id of the membership, membership), each in the form of the log
//! ```
//!
//! Numbers of the header are big-endian; golden bytes in the tests pin the form.

use std::fs::File;
use std::io::{ErrorKind, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::{Blobs, SnapshotOf};
use crate::raft::log::{decode_log_id, decode_membership, encode_log_id, encode_membership};
use crate::raft::{LogId, SnapshotMeta, StoredMembership};
use crate::state::State;
use crate::store::{Damage, Error, codec};

const VERSION: u8 = 1;
const FILE: &str = "snapshot";
const ASIDE: &str = "snapshot.aside-";

pub fn encode_snapshot(meta: &SnapshotMeta, state: &State) -> Vec<u8> {
    let meta = encode_meta(meta);
    let mut bytes = vec![VERSION];
    bytes.extend(u32::try_from(meta.len()).unwrap_or(u32::MAX).to_be_bytes());
    bytes.extend(crc32fast::hash(&meta).to_be_bytes());
    bytes.extend(meta);
    bytes.extend(codec::encode_snapshot(state));
    bytes
}

pub fn decode_snapshot(bytes: &[u8]) -> Result<(SnapshotMeta, State), Damage> {
    let (&version, rest) = bytes.split_first().ok_or(Damage::TooShort)?;
    if version != VERSION {
        return Err(Damage::Version(version));
    }
    let (length, rest) = rest.split_first_chunk::<4>().ok_or(Damage::TooShort)?;
    let (checksum, rest) = rest.split_first_chunk::<4>().ok_or(Damage::TooShort)?;
    let (meta, state) = rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or(Damage::TooShort)?;
    if crc32fast::hash(meta) != u32::from_be_bytes(*checksum) {
        return Err(Damage::Checksum);
    }
    Ok((decode_meta(meta)?, codec::decode_snapshot(state)?))
}

type MetaForm = (Option<Vec<u8>>, Option<Vec<u8>>, Vec<u8>);

pub(crate) fn encode_meta(meta: &SnapshotMeta) -> Vec<u8> {
    let membership = &meta.last_membership;
    let form: MetaForm = (
        meta.last_log_id.as_ref().map(encode_log_id),
        membership.log_id().as_ref().map(encode_log_id),
        encode_membership(membership.membership()),
    );
    postcard::to_stdvec(&form).expect("bytes have a postcard form")
}

pub(crate) fn decode_meta(bytes: &[u8]) -> Result<SnapshotMeta, Damage> {
    let (last, changed, membership): MetaForm = postcard::from_bytes(bytes).map_err(|_| Damage::Shape)?;
    let log_id = |bytes: Option<Vec<u8>>| bytes.map(|bytes| decode_log_id(&bytes)).transpose();
    let membership = StoredMembership::new(log_id(changed)?, decode_membership(&membership)?);
    Ok(SnapshotMeta { last_log_id: log_id(last)?, last_membership: membership })
}

/// A snapshot in a file that is whole and synced, with the blobs it covers.
#[derive(Debug)]
pub struct Content {
    pub(crate) file: File,
    path: PathBuf,
    /// Digest and size of each blob that a receiver of the snapshot needs.
    pub(crate) blobs: Vec<(String, u64)>,
}

/// A file to write a snapshot to, beside the current one. Gone when dropped without [`Aside::finish`].
pub(crate) struct Aside {
    file: File,
    path: PathBuf,
    finished: bool,
}

impl Aside {
    pub fn create(directory: &Path) -> std::io::Result<Self> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let path = directory.join(format!("{ASIDE}{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        let file = File::options().read(true).write(true).create(true).truncate(true).open(&path)?;
        Ok(Self { file, path, finished: false })
    }

    pub fn write(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_all(bytes)
    }

    /// The state in what was written so far.
    pub fn state(&self) -> std::io::Result<State> {
        let bytes = whole(&self.file)?;
        decode_snapshot(&bytes).map(|(_, state)| state).map_err(|damage| invalid(&damage.to_string()))
    }

    pub fn finish(mut self, blobs: Vec<(String, u64)>) -> std::io::Result<Content> {
        self.file.sync_all()?;
        let file = self.file.try_clone()?;
        self.finished = true;
        Ok(Content { file, path: std::mem::take(&mut self.path), blobs })
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        if !self.finished {
            // What is left is removed when the folder is opened again.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

impl Content {
    /// Writes a snapshot aside, after the blobs it covers are on disk.
    pub(super) fn write(directory: &Path, bytes: &[u8], state: &State) -> std::io::Result<Self> {
        let blobs = Blobs::new(directory).sync(state)?;
        let mut aside = Aside::create(directory)?;
        aside.write(bytes)?;
        aside.finish(blobs)
    }

    /// The state, if it is the one that `meta` describes.
    pub(super) fn read(&self, meta: &SnapshotMeta) -> std::io::Result<State> {
        let (found, state) = decode_snapshot(&self.bytes()?).map_err(|damage| invalid(&damage.to_string()))?;
        if found == *meta { Ok(state) } else { Err(invalid("it is another snapshot than the one announced")) }
    }

    pub(crate) fn bytes(&self) -> std::io::Result<Vec<u8>> {
        whole(&self.file)
    }
}

fn whole(mut file: &File) -> std::io::Result<Vec<u8>> {
    file.rewind()?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Makes a snapshot the one that a fresh folder begins with, after its blobs are there.
pub(crate) fn establish(directory: &Path, meta: SnapshotMeta, state: &State) -> std::io::Result<()> {
    let content = Content::write(directory, &encode_snapshot(&meta, state), state)?;
    Saved::new(directory).replace(meta, content)
}

fn invalid(reason: &str) -> std::io::Error {
    std::io::Error::new(ErrorKind::InvalidData, format!("the snapshot cannot be read: {reason}"))
}

/// The current snapshot of a folder.
pub struct Saved {
    directory: PathBuf,
    meta: Option<SnapshotMeta>,
    blobs: Vec<(String, u64)>,
}

impl Saved {
    pub(super) fn new(directory: &Path) -> Self {
        Self { directory: directory.to_owned(), meta: None, blobs: Vec::new() }
    }

    pub(super) fn directory(&self) -> PathBuf {
        self.directory.clone()
    }

    /// Reads the current snapshot and removes what interrupted writers left.
    pub(super) fn load(&mut self) -> Result<Option<(SnapshotMeta, State)>, Error> {
        let io = |source| Error::Io { path: self.directory.clone(), source };
        for item in std::fs::read_dir(&self.directory).map_err(io)? {
            let item = item.map_err(io)?;
            if item.file_name().to_string_lossy().starts_with(ASIDE) {
                std::fs::remove_file(item.path()).map_err(io)?;
            }
        }
        let path = self.directory.join(FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(Error::Io { path, source }),
        };
        let (meta, state) = decode_snapshot(&bytes).map_err(|damage| match damage {
            Damage::Version(_) => Error::TooNew { path: path.clone() },
            _ => Error::CorruptSnapshot { path: path.clone(), reason: damage.to_string() },
        })?;
        self.meta = Some(meta.clone());
        self.blobs = Blobs::needed(&state);
        Ok(Some((meta, state)))
    }

    /// Makes a snapshot the current one, unless the current one is newer.
    pub(super) fn replace(&mut self, meta: SnapshotMeta, content: Content) -> std::io::Result<()> {
        let last = |meta: &SnapshotMeta| -> Option<LogId> { meta.last_log_id };
        if self.meta.as_ref().is_some_and(|current| last(current) > last(&meta)) {
            return std::fs::remove_file(&content.path);
        }
        std::fs::rename(&content.path, self.directory.join(FILE))?;
        File::open(&self.directory)?.sync_all()?;
        (self.meta, self.blobs) = (Some(meta), content.blobs);
        Ok(())
    }

    pub(super) fn current(&self) -> std::io::Result<Option<SnapshotOf>> {
        let Some(meta) = self.meta.clone() else { return Ok(None) };
        let path = self.directory.join(FILE);
        let content = Content { file: File::open(&path)?, path, blobs: self.blobs.clone() };
        Ok(Some(SnapshotOf { meta, snapshot: content }))
    }
}
