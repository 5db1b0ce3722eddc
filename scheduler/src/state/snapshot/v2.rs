//! States of the second version, before there were transcripts, losses and writers: the fields that came at the end. Read, never written.

use crate::entry::{Damage, decode};
use crate::state::State;

pub(super) fn read(payload: &[u8]) -> Result<State, Damage> {
    /// Empty maps.
    const NOTHING_MORE: [u8; 3] = [0; 3];
    decode(&[payload, &NOTHING_MORE].concat())
}
