//! The bytes of a whole state, for Raft snapshots.
//!
//! ```text
//!   version u8 · postcard(State)
//! ```
//!
//! Invariant: what was written once is read forever. Every version has golden bytes in the tests.

mod v1;
mod v2;
mod v3;
mod v4;
mod v5;

use super::State;
use crate::entry::{Damage, append, decode, version_of};

/// The version that is written.
pub const VERSION: u8 = 6;

impl State {
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
        let mut state = match version {
            1 => v1::read(payload)?,
            2 => v2::read(payload)?,
            3 => v3::read(payload)?,
            4 => v4::read(payload)?,
            5 => v5::read(payload)?,
            VERSION => decode(payload)?,
            newer => return Err(Damage::Version(newer)),
        };
        state.restore();
        Ok(state)
    }
}
