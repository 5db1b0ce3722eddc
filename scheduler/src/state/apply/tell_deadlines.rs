//! Ticks whose run should have succeeded by now, by the entry's own time, and has not.

use crate::state::{Entry, Rejection, Reply, State};

pub(super) fn apply(state: &mut State, entry: &Entry) -> Result<Reply, Rejection> {
    while let Some((due_at, schedule, scheduled_at)) = state.alerts.by_deadline.first().cloned() {
        if due_at > entry.at {
            break;
        }
        state.alerts.unwatch(&schedule, scheduled_at);
        state.miss_deadline(entry, &schedule, scheduled_at);
    }
    Ok(Reply::Done)
}
