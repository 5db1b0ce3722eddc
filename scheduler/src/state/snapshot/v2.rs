//! States of the second version, before there were transcripts: the field that came at the end. Read, never written.

use crate::entry::{Damage, decode};
use crate::state::State;

pub(super) fn read(payload: &[u8]) -> Result<State, Damage> {
    /// An empty map.
    const NO_TRANSCRIPTS: u8 = 0;
    decode(&[payload, &[NO_TRANSCRIPTS]].concat())
}
