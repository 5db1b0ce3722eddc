//! States of the fifth version, before schedules waited for sources: the field that came at the end. Read, never written.

use crate::entry::{Damage, decode};
use crate::state::State;

pub(super) fn read(payload: &[u8]) -> Result<State, Damage> {
    /// No gates.
    const NOTHING_MORE: [u8; 1] = [0];
    decode(&[payload, &NOTHING_MORE].concat())
}
