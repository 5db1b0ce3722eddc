//! Bytes of what replicas say to each other: a version, and postcard of the message.
//!
//! All replicas of a cluster run the same program, give or take one minor version; a version that is not known is refused.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::raft::{Types, Vote};

const VERSION: u8 = 1;

/// A command that was applied, and the hash of the state after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub index: u64,
    pub digest: u64,
}

/// Entries, or none for a heartbeat.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) struct Append {
    pub checkpoint: Checkpoint,
    pub request: openraft::raft::AppendEntriesRequest<Types>,
}

#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub(crate) struct VoteMessage {
    pub is_pre_vote: bool,
    pub request: openraft::raft::VoteRequest<Types>,
}

/// Comes before a snapshot's bytes and those of its blobs.
#[derive(Serialize, Deserialize)]
pub(crate) struct SnapshotHeader {
    pub vote: Vote,
    /// In the form of the snapshot file.
    pub meta: Vec<u8>,
    /// Bytes of the snapshot file.
    pub length: u64,
    /// Digest and size of each blob, in the order in which they follow.
    pub blobs: Vec<(String, u64)>,
}

pub(crate) fn encode(message: &impl Serialize) -> bytes::Bytes {
    let bytes = postcard::to_extend(message, vec![VERSION]);
    bytes.expect("Raft's messages have only shapes that postcard knows").into()
}

pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, &'static str> {
    match bytes.split_first() {
        Some((&VERSION, message)) => postcard::from_bytes(message).map_err(|_| "the message has an unknown shape"),
        Some(_) => Err("the message was written by another version"),
        None => Err("the message is empty"),
    }
}
