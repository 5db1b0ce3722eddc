//! Runs for past ticks of a schedule begin, as the schedule is now.

use std::collections::BTreeSet;

use crate::state::command::BackfillRequest;
use crate::state::schedules::{BACKFILL_TICKS_MAX, BACKFILLS_MAX, Backfill, BackfillId, BackfillState};
use crate::state::{Entry, Rejection, Reply, State};

/// Most runs of one backfill at once.
const PARALLEL_MAX: u32 = 1_000;

pub(super) fn apply(state: &mut State, entry: &mut Entry, request: BackfillRequest) -> Result<Reply, Rejection> {
    let BackfillRequest { schedule, version, request, from, until, total, first, order, parallel } = request;
    // The same request again means the same backfill.
    if let Some((&id, _)) = state.backfills.iter().find(|(_, known)| known.request == request) {
        return Ok(Reply::BackfillStarted { id, new: false });
    }
    let scheduled = state.schedules.get(&schedule).ok_or_else(|| Rejection::UnknownSchedule(schedule.clone()))?;
    if scheduled.version != version {
        return Err(Rejection::ScheduleChanged(schedule));
    }
    if total == 0 || total > BACKFILL_TICKS_MAX || !(1..=PARALLEL_MAX).contains(&parallel) {
        return Err(Rejection::BackfillOutOfRange { ticks_max: BACKFILL_TICKS_MAX, parallel_max: PARALLEL_MAX });
    }
    let declared = scheduled.declared.clone();
    if state.backfills.len() >= BACKFILLS_MAX {
        let oldest = state.backfills.iter().find(|(_, backfill)| backfill.has_ended()).map(|(id, _)| *id);
        state.backfills.remove(&oldest.ok_or(Rejection::TooManyBackfills { max: BACKFILLS_MAX as u32 })?);
    }
    super::put_schedules::hold(state, &declared)?;
    let id = BackfillId(entry.epoch.0);
    let backfill = Backfill {
        declared,
        request,
        from,
        until,
        order,
        parallel,
        total,
        started_at: entry.at,
        state: BackfillState::Active,
        next: Some(first),
        ticks: Vec::new(),
        active: BTreeSet::new(),
    };
    state.backfills.insert(id, backfill);
    state.index.backfills.insert(id);
    Ok(Reply::BackfillStarted { id, new: true })
}
