//! A backfill is paused, resumed or canceled, or comes to its end.

use super::put_schedules::release;
use crate::state::command::Steer;
use crate::state::schedules::{BackfillId, BackfillState};
use crate::state::{CancelCause, Entry, Rejection, Reply, State, StopCause};

pub(super) fn apply(state: &mut State, entry: &mut Entry, id: BackfillId, steer: Steer) -> Result<Reply, Rejection> {
    let backfill = state.backfills.get_mut(&id).ok_or(Rejection::UnknownBackfill(id))?;
    match (backfill.state, steer) {
        (BackfillState::Canceled { .. } | BackfillState::Finished { .. }, _) => {
            return Err(Rejection::BackfillEnded(id));
        }
        (_, Steer::Pause) => backfill.state = BackfillState::Paused,
        (_, Steer::Resume) => {
            backfill.state = BackfillState::Active;
            end_if_done(state, entry, id);
        }
        (_, Steer::Cancel) => {
            end(state, entry, id, BackfillState::Canceled { at: entry.at });
            let active: Vec<_> = state.backfills.get(&id).into_iter().flat_map(|backfill| backfill.active()).collect();
            for run in active {
                if state.runs.get(&run).is_some_and(|run| !run.is_finished()) {
                    state.stop_run(entry, run, StopCause::Canceled(CancelCause::Request));
                    state.finish_run(entry, run);
                }
            }
        }
    }
    Ok(Reply::Done)
}

/// No tick of it is decided any more.
pub(super) fn end(state: &mut State, entry: &Entry, id: BackfillId, ended: BackfillState) {
    let Some(backfill) = state.backfills.get_mut(&id).filter(|backfill| !backfill.has_ended()) else { return };
    backfill.state = ended;
    backfill.next = None;
    let declared = backfill.declared.clone();
    state.index.backfills.remove(&id);
    release(state, entry, &declared);
}

pub(super) fn end_if_done(state: &mut State, entry: &Entry, id: BackfillId) {
    if state.backfills.get(&id).is_some_and(|backfill| backfill.next.is_none() && backfill.active.is_empty()) {
        end(state, entry, id, BackfillState::Finished { at: entry.at });
    }
}
