//! What was decided about old ticks is forgotten, and backfills that ended before then.

use common::Timestamp;
use common::schedule::Decision;

use crate::state::schedules::{BackfillState, Tick};
use crate::state::{Rejection, Reply, State};

pub(super) fn apply(state: &mut State, before: Timestamp) -> Result<Reply, Rejection> {
    let mut forgotten = 0;
    state.forgotten_before = state.forgotten_before.max(before);
    let is_old = |tick: &Tick| {
        // What runs or waits is not history yet.
        let is_open = tick.outcome.is_none() && matches!(tick.decision, Decision::Started { .. } | Decision::Buffered);
        tick.decided_at < before && !is_open
    };
    for scheduled in state.schedules.values_mut() {
        let known = scheduled.ticks.len();
        scheduled.ticks.retain(|tick| !is_old(tick));
        forgotten += (known - scheduled.ticks.len()) as u64;
    }
    let has_gone = |state: &BackfillState| match state {
        BackfillState::Canceled { at } | BackfillState::Finished { at } => *at < before,
        BackfillState::Active | BackfillState::Paused => false,
    };
    state.backfills.retain(|_, backfill| !has_gone(&backfill.state));
    Ok(Reply::Forgotten { ticks: forgotten })
}
