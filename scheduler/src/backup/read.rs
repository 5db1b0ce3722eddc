//! From the bytes of the file to what it holds, checked.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufReader, ErrorKind, Read};
use std::path::Path;

use common::ContentDigest;
use sha2::{Digest, Sha256};

use super::{Error, HEADER_MAX, Header, MAGIC, VERSION};
use crate::raft::machine::{Blobs, Kind, decode_snapshot};
use crate::state::State;

/// What a file holds.
#[derive(Debug)]
pub struct Checked {
    /// The cluster that it was saved of.
    pub cluster: String,
    /// Index of the last entry of the log that it covers.
    pub last_index: u64,
    pub state: State,
    /// Blobs, and runs with transcripts.
    pub files: usize,
}

/// Reads all of a file and checks it. Blocks.
pub fn verify(path: &Path) -> Result<Checked, Error> {
    read(path, None)
}

/// As [`verify`], and puts the blobs into a folder on the way.
pub(super) fn read(path: &Path, into: Option<&Blobs>) -> Result<Checked, Error> {
    let file = File::open(path).map_err(|source| Error::Io { path: path.to_owned(), source })?;
    let mut input = Input { path, file: BufReader::new(file), hasher: Sha256::new() };
    let mut magic = [0; MAGIC.len()];
    input.fill(&mut magic)?;
    if magic != *MAGIC {
        return Err(input.damaged("it is no backup"));
    }
    let [version] = input.array()?;
    if version != VERSION {
        return Err(Error::TooNew { path: path.to_owned() });
    }
    let length = u32::from_be_bytes(input.array()?);
    if length > HEADER_MAX {
        return Err(input.damaged("its header is too long"));
    }
    let header = input.take(length.into())?;
    let header: Header = postcard::from_bytes(&header).map_err(|_| input.damaged("its header has an unknown shape"))?;
    let snapshot = input.take(header.snapshot)?;
    let (meta, state) = decode_snapshot(&snapshot).map_err(|damage| input.damaged(&damage.to_string()))?;
    let held = state.projects().blobs().filter(|(_, blob)| blob.received > 0);
    let mut missing: BTreeSet<String> = held.map(|(digest, _)| digest.to_string()).collect();
    for (name, bytes) in &header.blobs {
        if let Some(Kind::Transcripts(run)) = Kind::of(name) {
            if state.transcripts_of(&run).is_none_or(|transcripts| transcripts.length() != *bytes) {
                return Err(
                    input.damaged(&format!("the snapshot does not know the transcripts of run {run} like this"))
                );
            }
            input.blob(name, *bytes, into)?;
            continue;
        }
        let known = state.projects().blobs().find(|(digest, _)| digest.to_string() == *name).map(|(_, blob)| blob);
        let Some(blob) = known.filter(|blob| blob.received == *bytes) else {
            return Err(input.damaged(&format!("the snapshot does not know the file {name} like this")));
        };
        let found = input.blob(name, *bytes, into)?;
        if blob.is_complete() && found.to_string() != *name {
            return Err(input.damaged(&format!("it has {found} in the place of {name}")));
        }
        if *bytes > 0 && !missing.remove(name) {
            return Err(input.damaged(&format!("it has the file {name} twice")));
        }
    }
    if !missing.is_empty() {
        return Err(input.damaged(&format!("{} files are missing", missing.len())));
    }
    let expected: [u8; 32] = input.hasher.clone().finalize().into();
    if input.array()? != expected {
        return Err(input.damaged("its checksum is another"));
    }
    if input.file.read(&mut [0]).map_err(|source| Error::Io { path: path.to_owned(), source })? > 0 {
        return Err(input.damaged("something follows its end"));
    }
    let last_index = meta.last_log_id.map_or(0, |last| last.index);
    Ok(Checked { cluster: header.cluster, last_index, state, files: header.blobs.len() })
}

struct Input<'a> {
    path: &'a Path,
    file: BufReader<File>,
    hasher: Sha256,
}

impl Input<'_> {
    fn damaged(&self, reason: &str) -> Error {
        Error::Damaged { path: self.path.to_owned(), reason: reason.to_owned() }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Error> {
        self.file.read_exact(bytes).map_err(|source| match source.kind() {
            ErrorKind::UnexpectedEof => self.damaged("it ends too early"),
            _ => Error::Io { path: self.path.to_owned(), source },
        })?;
        self.hasher.update(bytes);
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let mut bytes = [0; N];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    /// Grows with what there is, not with what is announced.
    fn take(&mut self, length: u64) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        let read = (&mut self.file).take(length).read_to_end(&mut bytes);
        read.map_err(|source| Error::Io { path: self.path.to_owned(), source })?;
        if bytes.len() as u64 != length {
            return Err(self.damaged("it ends too early"));
        }
        self.hasher.update(&bytes);
        Ok(bytes)
    }

    /// The digest of the next bytes, which are a blob of this name.
    fn blob(&mut self, name: &str, length: u64, into: Option<&Blobs>) -> Result<ContentDigest, Error> {
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 64 << 10];
        let mut offset = 0;
        loop {
            let piece = usize::try_from(length - offset).unwrap_or(usize::MAX).min(buffer.len());
            let piece = &mut buffer[..piece];
            self.fill(piece)?;
            hasher.update(&*piece);
            if let Some(blobs) = into {
                let written = blobs.write(name, offset, piece);
                written.map_err(|source| Error::Io { path: blobs.path(name), source })?;
            }
            offset += piece.len() as u64;
            if offset == length {
                return Ok(ContentDigest(hasher.finalize().into()));
            }
        }
    }
}
