//! Nothing begins by itself any more, or it does again. What runs goes on.

use common::schedule::{Decision, MissReason, Upcoming};
use common::{ScheduleName, Timestamp};

use super::put_schedules::drop_next;
use crate::state::command::Slept;
use crate::state::schedules::{Series, Tick};
use crate::state::{Entry, Rejection, Reply, State};

pub(super) fn pause(state: &mut State, entry: &mut Entry, name: &ScheduleName) -> Result<Reply, Rejection> {
    let mut scheduled = state.leave_schedule(name).ok_or_else(|| Rejection::UnknownSchedule(name.clone()))?;
    if scheduled.paused_at.is_none() {
        state.withdraw(&mut scheduled, entry);
        drop_next(&mut scheduled, entry, MissReason::Paused);
        state.arrivals.remove(name);
        scheduled.paused_at = Some(entry.at);
    }
    state.enter_schedule(name, scheduled);
    Ok(Reply::Done)
}

/// `slept` are the ticks that were not due because of the pause.
pub(super) fn resume(
    state: &mut State,
    entry: &mut Entry,
    name: &ScheduleName,
    next: Option<Upcoming>,
    slept: Option<Slept>,
) -> Result<Reply, Rejection> {
    let known = state.schedules.get(name).ok_or_else(|| Rejection::UnknownSchedule(name.clone()))?;
    if known.is_paused() && !known.may_be_next(next) {
        let scheduled_at = next.map_or(entry.at, |next| next.scheduled_at);
        return Err(Rejection::TickDecided { schedule: name.clone(), scheduled_at });
    }
    let Some(mut scheduled) = state.leave_schedule(name) else { return Ok(Reply::Done) };
    if scheduled.paused_at.take().is_some() {
        scheduled.next = next;
        // What is said to have been slept through lies between what was decided and what is next.
        let before_next = |at: Timestamp| next.is_none_or(|next| at < next.scheduled_at);
        let is_new = |slept: &Slept| scheduled.decided_until.is_none_or(|decided| decided < slept.from);
        let is_true = |slept: &Slept| is_new(slept) && slept.from <= slept.until && before_next(slept.until);
        if let Some(Slept { from, until, count }) = slept.filter(is_true) {
            scheduled.record(Tick {
                series: Series::Calendar,
                scheduled_at: from,
                until,
                count,
                decided_at: entry.at,
                decision: Decision::Missed { reason: MissReason::Paused },
                outcome: None,
            });
        }
    }
    state.enter_schedule(name, scheduled);
    Ok(Reply::Done)
}
