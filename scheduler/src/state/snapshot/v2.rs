//! States of the second version, before there were transcripts, losses and writers: the fields that came at the end. Read, never written.

use super::v3;
use crate::entry::Damage;
use crate::state::State;

pub(super) fn read(payload: &[u8]) -> Result<State, Damage> {
    /// Empty maps.
    const NOTHING_MORE: [u8; 3] = [0; 3];
    v3::read(&[payload, &NOTHING_MORE].concat())
}
