//! Schedules go. Their runs go on; what waited for them never begins, and backfills of them end where they are.

use common::ScheduleName;

use super::put_schedules::release;
use super::steer_backfill;
use crate::state::schedules::BackfillState;
use crate::state::{Entry, Rejection, Reply, State};

pub(super) fn apply(state: &mut State, entry: &mut Entry, names: &[ScheduleName]) -> Result<Reply, Rejection> {
    if let Some(unknown) = names.iter().find(|name| !state.schedules.contains_key(*name)) {
        return Err(Rejection::UnknownSchedule(unknown.clone()));
    }
    for name in names {
        let Some(mut scheduled) = state.leave_schedule(name) else { continue };
        state.withdraw(&mut scheduled, entry);
        state.alerts.forget_schedule(name);
        state.arrivals.remove(name);
        state.gates.remove(name);
        release(state, entry, &scheduled.declared);
        // A schedule that gets the name later is another.
        for run in scheduled.active() {
            state.origins.remove(&run);
        }
        let backfills: Vec<_> = state.backfills_of(name).map(|(id, _)| id).collect();
        for id in backfills {
            steer_backfill::end(state, entry, id, BackfillState::Canceled { at: entry.at });
        }
    }
    Ok(Reply::Done)
}
