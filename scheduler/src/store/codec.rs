//! Bytes of entries and snapshots: a version, what the entry follows, a checksum, and postcard.
//!
//! ```text
//!   entry     version u8 · previous u64 · crc32 u32 · postcard(entry)        crc32 over index, previous, postcard
//!   snapshot  version u8 · applied u64  · crc32 u32 · postcard(state)        crc32 over applied, postcard
//! ```
//!
//! Numbers of the header are big-endian. Versions are those of `entry` and of `state::snapshot`.

use super::Entry;
use crate::entry::{self, Damage, LogEntry};
use crate::state::{State, snapshot};

const HEADER: usize = 1 + 8 + 4;

/// A checked frame, not decoded yet.
pub(crate) struct Frame<'a> {
    version: u8,
    pub number: u64,
    pub payload: &'a [u8],
}

/// `previous` is the index of the entry before, 0 for the first of all.
pub fn encode_entry(entry: &Entry, previous: u64) -> Vec<u8> {
    let covered = [entry.index.to_be_bytes(), previous.to_be_bytes()].concat();
    seal(entry::VERSION, previous, &covered, &entry.content.payload())
}

/// Gives back the entry and the index of the one before.
pub fn decode_entry(index: u64, bytes: &[u8]) -> Result<(Entry, u64), Damage> {
    let Frame { version, number: previous, payload } = open_entry(index, bytes)?;
    let content = LogEntry::from_payload(version, payload)?;
    Ok((Entry { index, content }, previous))
}

pub(super) fn open_entry(index: u64, bytes: &[u8]) -> Result<Frame<'_>, Damage> {
    open(bytes, entry::VERSION, |previous| [index.to_be_bytes(), previous.to_be_bytes()].concat())
}

pub(crate) fn encode_snapshot(state: &State) -> Vec<u8> {
    seal(snapshot::VERSION, state.applied(), &state.applied().to_be_bytes(), &state.payload())
}

pub(super) fn open_snapshot(bytes: &[u8]) -> Result<Frame<'_>, Damage> {
    open(bytes, snapshot::VERSION, |applied| applied.to_be_bytes().to_vec())
}

pub(crate) fn decode_snapshot(bytes: &[u8]) -> Result<State, Damage> {
    let frame = open_snapshot(bytes)?;
    State::from_payload(frame.version, frame.payload)
}

/// A frame that says which version it has, what it follows or covers, and whether it is whole.
pub(crate) fn seal(version: u8, number: u64, covered: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.push(version);
    bytes.extend(number.to_be_bytes());
    bytes.extend(checksum(covered, payload).to_be_bytes());
    bytes.extend(payload);
    bytes
}

pub(crate) fn open(bytes: &[u8], newest: u8, covered: impl Fn(u64) -> Vec<u8>) -> Result<Frame<'_>, Damage> {
    let (&version, rest) = bytes.split_first().ok_or(Damage::TooShort)?;
    if version > newest {
        return Err(Damage::Version(version));
    }
    let (number, rest) = rest.split_first_chunk::<8>().ok_or(Damage::TooShort)?;
    let (stored, payload) = rest.split_first_chunk::<4>().ok_or(Damage::TooShort)?;
    let number = u64::from_be_bytes(*number);
    if checksum(&covered(number), payload) != u32::from_be_bytes(*stored) {
        return Err(Damage::Checksum);
    }
    Ok(Frame { version, number, payload })
}

fn checksum(covered: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(covered);
    hasher.update(payload);
    hasher.finalize()
}
