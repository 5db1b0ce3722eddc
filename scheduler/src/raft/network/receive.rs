//! Puts a snapshot that arrives in pieces, and the blobs behind it, into files.
//!
//! Invariant: what is installed is whole and synced, and a blob that the state calls complete has the digest that names it.

use std::fs::File;
use std::io::{Error, ErrorKind, Write};
use std::path::Path;

use bytes::{Buf, Bytes};
use common::ContentDigest;
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::codec::SnapshotHeader;
use crate::raft::machine::{Aside, Blobs, Content, Kind};
use crate::state::State;

/// Blocks until all has arrived. `pieces` may be cut anywhere.
pub(crate) fn receive(
    directory: &Path,
    header: SnapshotHeader,
    pieces: mpsc::Receiver<Bytes>,
) -> std::io::Result<Content> {
    let mut pieces = Pieces { pieces, rest: Bytes::new() };
    let mut aside = Aside::create(directory)?;
    pieces.take(header.length, |bytes| aside.write(bytes))?;
    let blobs = Blobs::new(directory);
    for (name, size) in &header.blobs {
        match Kind::of(name) {
            Some(Kind::Blob) => {
                let is_partial = || aside.state().map(|state| is_partial(&state, name, *size));
                receive_blob(&blobs, name, *size, &mut pieces, is_partial)?;
            }
            Some(Kind::Transcripts(_)) => receive_transcripts(&blobs, name, *size, &mut pieces)?,
            None => return Err(invalid("it names a file that is neither a blob's nor a run's")),
        }
    }
    if !header.blobs.is_empty() {
        File::open(blobs.directory())?.sync_all()?;
    }
    aside.finish(header.blobs)
}

/// Whether the state waits for the rest of the blob.
fn is_partial(state: &State, digest: &str, size: u64) -> bool {
    let blob = state.projects().blobs().find(|(named, _)| named.to_string() == digest);
    blob.is_some_and(|(_, blob)| !blob.is_complete() && blob.received == size)
}

/// `is_partial` is asked only of what does not have its digest: reading the state takes time.
fn receive_blob(
    blobs: &Blobs,
    digest: &str,
    size: u64,
    pieces: &mut Pieces,
    is_partial: impl FnOnce() -> std::io::Result<bool>,
) -> std::io::Result<()> {
    std::fs::create_dir_all(blobs.directory())?;
    let path = blobs.path(digest);
    let aside = path.with_extension("received");
    let mut file = File::create(&aside)?;
    let mut hasher = Sha256::new();
    pieces.take(size, |bytes| {
        hasher.update(bytes);
        file.write_all(bytes)
    })?;
    let found = ContentDigest(hasher.finalize().into());
    if found.to_string() != digest && !is_partial()? {
        std::fs::remove_file(&aside)?;
        return Err(invalid(&format!("the blob {digest} arrived as {found}")));
    }
    file.sync_all()?;
    std::fs::rename(&aside, &path)
}

/// In place: what is at a place of such a file is the same on every replica, and this one may have more of it than the snapshot covers.
fn receive_transcripts(blobs: &Blobs, name: &str, size: u64, pieces: &mut Pieces) -> std::io::Result<()> {
    let mut offset = 0;
    pieces.take(size, |bytes| {
        blobs.write(name, offset, bytes)?;
        offset += bytes.len() as u64;
        Ok(())
    })?;
    File::open(blobs.path(name))?.sync_all()
}

struct Pieces {
    pieces: mpsc::Receiver<Bytes>,
    rest: Bytes,
}

impl Pieces {
    fn take(&mut self, length: u64, mut write: impl FnMut(&[u8]) -> std::io::Result<()>) -> std::io::Result<()> {
        let mut left = usize::try_from(length).map_err(Error::other)?;
        while left > 0 {
            if self.rest.is_empty() {
                self.rest = self.pieces.blocking_recv().ok_or_else(|| invalid("it broke off"))?;
            }
            let taken = left.min(self.rest.len());
            write(&self.rest[..taken])?;
            self.rest.advance(taken);
            left -= taken;
        }
        Ok(())
    }
}

fn invalid(reason: &str) -> Error {
    Error::new(ErrorKind::InvalidData, format!("the snapshot that was sent cannot be used: {reason}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use common::Timestamp;

    use super::*;
    use crate::raft::machine::{encode_meta, encode_snapshot};
    use crate::raft::{SnapshotMeta, Vote};
    use crate::state::Command;

    /// Sends a state that holds `held` of a blob, whole where it has as many bytes as `content`, and `sent` for its bytes.
    fn receive_as(directory: &Path, content: &[u8], held: usize, sent: &'static [u8]) -> std::io::Result<Content> {
        let digest = ContentDigest(Sha256::digest(content).into());
        let mut state = State::default();
        let put = Command::PutBlob { digest, size: content.len() as u64, offset: 0, bytes: content[..held].to_vec() };
        state.apply(1, Timestamp(1), put);
        let meta = SnapshotMeta::default();
        let snapshot = encode_snapshot(&meta, &state);
        let header = SnapshotHeader {
            vote: Vote::new(1, 1),
            meta: encode_meta(&meta),
            length: snapshot.len() as u64,
            blobs: vec![(digest.to_string(), held as u64)],
        };
        let (sender, pieces) = mpsc::channel(2);
        sender.try_send(snapshot.into()).unwrap();
        sender.try_send(Bytes::from_static(sent)).unwrap();
        receive(directory, header, pieces)
    }

    #[test]
    fn a_blob_that_arrives_as_another_is_refused_and_what_is_held_stays() {
        let folder = tempfile::tempdir().unwrap();
        let content = b"select 1";
        assert_eq!(receive_as(folder.path(), content, 8, content).unwrap().blobs[0].1, 8);
        let refused = receive_as(folder.path(), content, 8, b"select 2").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::InvalidData);
        let digest = ContentDigest(Sha256::digest(content).into()).to_string();
        assert!(refused.to_string().contains(&format!("the blob {digest} arrived as ")), "{refused}");
        let files = std::fs::read_dir(folder.path().join("blobs")).unwrap();
        let files: Vec<String> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        assert_eq!(files, [digest.as_str()]);
        assert_eq!(std::fs::read(Blobs::new(folder.path()).path(&digest)).unwrap(), content);
    }

    #[test]
    fn a_blob_of_which_only_the_beginning_has_arrived_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        receive_as(folder.path(), b"select 1", 6, b"select").unwrap();
    }
}
