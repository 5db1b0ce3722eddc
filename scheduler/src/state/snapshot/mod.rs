//! The bytes of a whole state, for Raft snapshots.
//!
//! ```text
//!   version u8 · postcard(State)
//! ```
//!
//! Invariant: what was written once is read forever. Every version has golden bytes in the tests.

mod v1;

use super::State;
use crate::entry::{Damage, decode};

/// The version that is written.
pub const VERSION: u8 = 2;

impl State {
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        bytes.extend(self.payload());
        bytes
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Damage> {
        let (&version, payload) = bytes.split_first().ok_or(Damage::TooShort)?;
        Self::from_payload(version, payload)
    }

    /// The bytes without their version, for a frame that carries it.
    pub(crate) fn payload(&self) -> Vec<u8> {
        postcard::to_stdvec(self)
            .expect("domain types have only shapes that postcard knows, and memory is the only limit")
    }

    pub(crate) fn from_payload(version: u8, payload: &[u8]) -> Result<Self, Damage> {
        let mut state = match version {
            1 => v1::read(payload)?,
            VERSION => decode(payload)?,
            newer => return Err(Damage::Version(newer)),
        };
        state.restore();
        Ok(state)
    }
}
