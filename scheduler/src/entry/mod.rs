//! What one entry of the log says, and its bytes.
//!
//! ```text
//!   version u8 · postcard(LogEntry)
//! ```
//!
//! Invariant: what was written once is read forever. Every version has golden bytes in the tests.

mod v1;

use std::fmt;

use common::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::state::Command;

pub(crate) use v1::RetryPolicyV1;

/// The version that is written.
pub const VERSION: u8 = 2;

/// A command with everything that goes into the log with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogEntry {
    /// When it was proposed, by the proposer's clock.
    pub at: Timestamp,
    /// Who waits for its reply.
    pub proposer: Option<Proposer>,
    /// W3C trace context of whoever asked for it.
    pub traceparent: Option<String>,
    pub command: Command,
}

/// Names a proposal, so that its proposer finds it again among what was applied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Proposer {
    pub replica: u64,
    /// Never used twice by the same replica.
    pub sequence: u64,
}

/// Why bytes are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("it is cut off")]
    TooShort,
    #[error("it was written by a newer version")]
    Version(u8),
    #[error("its checksum does not match")]
    Checksum,
    #[error("its content has an unknown shape")]
    Shape,
}

impl LogEntry {
    pub fn to_bytes(&self) -> Vec<u8> {
        append(self, vec![VERSION])
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Damage> {
        let (version, payload) = version_of(bytes)?;
        Self::from_payload(version, payload)
    }

    /// The bytes without their version, for a frame that carries it.
    pub(crate) fn payload(&self) -> Vec<u8> {
        append(self, Vec::new())
    }

    pub(crate) fn from_payload(version: u8, payload: &[u8]) -> Result<Self, Damage> {
        match version {
            1 => v1::read(payload),
            VERSION => decode(payload),
            newer => Err(Damage::Version(newer)),
        }
    }
}

impl fmt::Display for LogEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.command.name())?;
        match self.proposer {
            Some(Proposer { replica, sequence }) => write!(f, " ({sequence} of replica {replica})"),
            None => Ok(()),
        }
    }
}

/// The version that stands in front, and what follows it.
pub(crate) fn version_of(bytes: &[u8]) -> Result<(u8, &[u8]), Damage> {
    let (&version, payload) = bytes.split_first().ok_or(Damage::TooShort)?;
    Ok((version, payload))
}

pub(crate) fn append(value: &impl Serialize, bytes: Vec<u8>) -> Vec<u8> {
    postcard::to_extend(value, bytes)
        .expect("domain types have only shapes that postcard knows, and memory is the only limit")
}

/// The whole of the bytes, and nothing after.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Damage> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        _ => Err(Damage::Shape),
    }
}
