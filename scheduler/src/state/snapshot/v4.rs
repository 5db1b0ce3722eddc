//! States of the fourth version, before there were alerts and schedules that follow others: the fields that came at the end. Read, never written.

use super::v5;
use crate::entry::Damage;
use crate::state::State;

pub(super) fn read(payload: &[u8]) -> Result<State, Damage> {
    /// No channels, notices, records, failures that were told, troubles and deadlines, and nobody who follows.
    const NOTHING_MORE: [u8; 7] = [0; 7];
    v5::read(&[payload, &NOTHING_MORE].concat())
}
