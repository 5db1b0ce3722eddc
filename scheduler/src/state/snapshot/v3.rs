//! States of the third version, before there were schedules: the fields that came at the end. Read, never written.

use super::v4;
use crate::entry::Damage;
use crate::state::State;

pub(super) fn read(payload: &[u8]) -> Result<State, Damage> {
    /// Empty maps, and no moment before which anything was forgotten.
    const NOTHING_MORE: [u8; 4] = [0; 4];
    v4::read(&[payload, &NOTHING_MORE].concat())
}
