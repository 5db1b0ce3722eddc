//! From a replica's newest snapshot to the bytes of the file.

use std::fs::File;
use std::io::{Error, Read, Result, Seek, Write};

use sha2::{Digest, Sha256};

use super::{Header, MAGIC, VERSION};
use crate::raft::machine::{Blobs, Content};

/// Blocks. Fails where a blob was collected since the snapshot was saved: a newer one does without it.
pub(crate) fn write(cluster: String, content: &Content, blobs: &Blobs, out: &mut impl Write) -> Result<()> {
    let snapshot = content.file.metadata()?.len();
    let header = Header { cluster, snapshot, blobs: content.blobs.clone() };
    let header = postcard::to_stdvec(&header).map_err(Error::other)?;
    let mut out = Hashed { out, hasher: Sha256::new() };
    out.write_all(MAGIC)?;
    out.write_all(&[VERSION])?;
    out.write_all(&u32::try_from(header.len()).map_err(Error::other)?.to_be_bytes())?;
    out.write_all(&header)?;
    let mut file = &content.file;
    file.rewind()?;
    copy(file, snapshot, &mut out)?;
    for (digest, bytes) in &content.blobs {
        copy(&File::open(blobs.path(digest))?, *bytes, &mut out)?;
    }
    let Hashed { out, hasher } = out;
    out.write_all(&hasher.finalize())?;
    out.flush()
}

fn copy(from: &File, bytes: u64, out: &mut impl Write) -> Result<()> {
    let copied = std::io::copy(&mut from.take(bytes), out)?;
    if copied == bytes { Ok(()) } else { Err(std::io::ErrorKind::UnexpectedEof.into()) }
}

struct Hashed<'a, W> {
    out: &'a mut W,
    hasher: Sha256,
}

impl<W: Write> Write for Hashed<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        let written = self.out.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> Result<()> {
        self.out.flush()
    }
}
