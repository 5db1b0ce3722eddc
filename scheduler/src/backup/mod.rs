//! A cluster's Raft snapshot and the blobs and transcripts it covers as one file, from which a new cluster can begin.
//!
//! ```text
//!   "kontiki backup\n" · version u8 · length of header u32 · header · snapshot · blobs · SHA-256 of everything before
//!   header: postcard(cluster, bytes of the snapshot, [(digest of a blob or id of a run, bytes)])
//! ```
//!
//! Numbers outside the header are big-endian; the snapshot has the form of a replica's own. Invariant: nothing of a file is used before
//! all of it has been checked, each whole blob against the digest that names it.

mod read;
mod restore;
mod write;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use read::{Checked, verify};
pub use restore::restore;
pub(crate) use write::write;

const MAGIC: &[u8; 15] = b"kontiki backup\n";
const VERSION: u8 = 1;
/// Longest header: the digests and sizes of half a million blobs.
const HEADER_MAX: u32 = 64 << 20;

#[derive(Serialize, Deserialize)]
struct Header {
    cluster: String,
    /// In bytes.
    snapshot: u64,
    /// Digest of each blob, or run of transcripts, and how many bytes of it follow.
    blobs: Vec<(String, u64)>,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: std::io::Error },
    #[error("{path} is damaged: {reason}")]
    Damaged { path: PathBuf, reason: String },
    #[error("{path} was written by a newer version")]
    TooNew { path: PathBuf },
    #[error("{path} is not empty: a new cluster begins in a folder of its own")]
    NotEmpty { path: PathBuf },
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use common::{ContentDigest, Timestamp};
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::raft::SnapshotMeta;
    use crate::raft::machine::{Aside, Blobs, encode_snapshot};
    use crate::state::{Command, State};

    /// Backups are kept for years: what one version wrote, every later one reads.
    #[test]
    fn golden_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let digest = ContentDigest(Sha256::digest(b"select 1").into());
        let mut state = State::default();
        let put = Command::PutBlob { digest, size: 8, offset: 0, bytes: b"select 1".to_vec() };
        state.apply(1, Timestamp(1), put);
        let blobs = Blobs::new(folder.path());
        blobs.write(&digest.to_string(), 0, b"select 1").unwrap();
        let mut aside = Aside::create(folder.path()).unwrap();
        aside.write(&encode_snapshot(&SnapshotMeta::default(), &state)).unwrap();
        let content = aside.finish(vec![(digest.to_string(), 8)]).unwrap();
        let mut written = Vec::new();
        write("a cluster".to_owned(), &content, &blobs, &mut written).unwrap();
        let hex: String = written.iter().map(|byte| format!("{byte:02x}")).collect();
        // With states of the third to the sixth version.
        let third = include_str!("../../tests/golden/backup.v1.txt").trim_end();
        let fourth = include_str!("../../tests/golden/backup.v1.state.v4.txt").trim_end();
        let fifth = include_str!("../../tests/golden/backup.v1.state.v5.txt").trim_end();
        let golden = include_str!("../../tests/golden/backup.v1.state.v6.txt").trim_end();
        assert_eq!(
            hex, golden,
            "add a version, or a further golden file with another snapshot; these are read forever"
        );

        for golden in [third, fourth, fifth, golden] {
            let file = folder.path().join("saved");
            let byte = |at: usize| u8::from_str_radix(&golden[at..at + 2], 16).unwrap();
            std::fs::write(&file, (0..golden.len()).step_by(2).map(byte).collect::<Vec<u8>>()).unwrap();
            let Checked { cluster, files, state, .. } = verify(&file).unwrap();
            assert_eq!((cluster.as_str(), files, state.projects().blobs().count()), ("a cluster", 1, 1));
        }
    }
}
