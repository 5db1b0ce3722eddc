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
