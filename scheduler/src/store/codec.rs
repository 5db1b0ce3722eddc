//! Bytes of entries and snapshots: a version, what the entry follows, a checksum, and postcard.
//!
//! ```text
//!   entry     version u8 · previous u64 · crc32 u32 · postcard(at, command)        crc32 over index, previous, postcard
//!   snapshot  version u8 · applied u64  · crc32 u32 · postcard(state)              crc32 over applied, postcard
//! ```
//!
//! Numbers of the header are big-endian. Every command has golden bytes in the tests: what was written once is read forever.

use common::Timestamp;
use serde::de::DeserializeOwned;

use super::Entry;
use crate::state::{Command, State};

const VERSION: u8 = 1;
const HEADER: usize = 1 + 8 + 4;

/// Why bytes are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damage {
    TooShort,
    Version(u8),
    Checksum,
    Shape,
}

impl Damage {
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::TooShort => "it is cut off",
            Self::Version(_) => "it was written by a newer version",
            Self::Checksum => "its checksum does not match",
            Self::Shape => "its content has an unknown shape",
        }
    }
}

/// A checked frame, not decoded yet.
pub(super) struct Frame<'a> {
    pub number: u64,
    pub payload: &'a [u8],
}

/// `previous` is the index of the entry before, 0 for the first of all.
pub fn encode_entry(entry: &Entry, previous: u64) -> Vec<u8> {
    let payload = encode(&(entry.at, &entry.command));
    seal(previous, &[&entry.index.to_be_bytes(), &previous.to_be_bytes()], &payload)
}

/// Gives back the entry and the index of the one before.
pub fn decode_entry(index: u64, bytes: &[u8]) -> Result<(Entry, u64), Damage> {
    let Frame { number: previous, payload } = open_entry(index, bytes)?;
    let (at, command): (Timestamp, Command) = decode(payload)?;
    Ok((Entry { index, at, command }, previous))
}

pub(super) fn open_entry(index: u64, bytes: &[u8]) -> Result<Frame<'_>, Damage> {
    open(bytes, |previous| [index.to_be_bytes(), previous.to_be_bytes()].concat())
}

pub(super) fn encode_snapshot(state: &State) -> Vec<u8> {
    seal(state.applied(), &[&state.applied().to_be_bytes()], &encode(state))
}

pub(super) fn open_snapshot(bytes: &[u8]) -> Result<Frame<'_>, Damage> {
    open(bytes, |applied| applied.to_be_bytes().to_vec())
}

pub(super) fn decode_snapshot(bytes: &[u8]) -> Result<State, Damage> {
    let mut state: State = decode(open_snapshot(bytes)?.payload)?;
    state.restore();
    Ok(state)
}

fn seal(number: u64, covered: &[&[u8]], payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.push(VERSION);
    bytes.extend(number.to_be_bytes());
    bytes.extend(checksum(&covered.concat(), payload).to_be_bytes());
    bytes.extend(payload);
    bytes
}

fn open(bytes: &[u8], covered: impl Fn(u64) -> Vec<u8>) -> Result<Frame<'_>, Damage> {
    let (&version, rest) = bytes.split_first().ok_or(Damage::TooShort)?;
    if version != VERSION {
        return Err(Damage::Version(version));
    }
    let (number, rest) = rest.split_first_chunk::<8>().ok_or(Damage::TooShort)?;
    let (stored, payload) = rest.split_first_chunk::<4>().ok_or(Damage::TooShort)?;
    let number = u64::from_be_bytes(*number);
    if checksum(&covered(number), payload) != u32::from_be_bytes(*stored) {
        return Err(Damage::Checksum);
    }
    Ok(Frame { number, payload })
}

fn checksum(covered: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(covered);
    hasher.update(payload);
    hasher.finalize()
}

fn encode(value: &impl serde::Serialize) -> Vec<u8> {
    postcard::to_stdvec(value).expect("domain types have only shapes that postcard knows, and memory is the only limit")
}

fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Damage> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        _ => Err(Damage::Shape),
    }
}
