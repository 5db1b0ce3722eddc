//! Puts a snapshot that arrives in pieces, and the blobs behind it, into files.
//!
//! Invariant: what is installed is whole and synced.

use std::fs::File;
use std::io::{Error, ErrorKind, Write};
use std::path::Path;

use bytes::{Buf, Bytes};
use tokio::sync::mpsc;

use super::codec::SnapshotHeader;
use crate::raft::machine::{Aside, Blobs, Content};

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
    for (digest, size) in &header.blobs {
        receive_blob(&blobs, digest, *size, &mut pieces)?;
    }
    if !header.blobs.is_empty() {
        File::open(blobs.directory())?.sync_all()?;
    }
    aside.finish(header.blobs)
}

fn receive_blob(blobs: &Blobs, digest: &str, size: u64, pieces: &mut Pieces) -> std::io::Result<()> {
    let is_digest = digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_digest {
        return Err(invalid("it names a blob that has no digest for a name"));
    }
    std::fs::create_dir_all(blobs.directory())?;
    let path = blobs.path(digest);
    let aside = path.with_extension("received");
    let mut file = File::create(&aside)?;
    pieces.take(size, |bytes| file.write_all(bytes))?;
    file.sync_all()?;
    std::fs::rename(&aside, &path)
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
