//! Attempts whose backoff is over may run again.

use crate::state::planted::Bug;
use crate::state::{Entry, Rejection, Reply, State, Step};

pub(super) fn apply(state: &mut State, entry: &mut Entry) -> Result<Reply, Rejection> {
    if state.has(Bug::RetryForgotten) {
        return Ok(Reply::Done);
    }
    while let Some(&(due_at, run, task)) = state.index.retries.first() {
        if due_at > entry.at {
            break;
        }
        state.step(run, task, Step::RetryDue);
        // Whatever the step did, the entry must go, or this loop would not end.
        state.index.retries.remove(&(due_at, run, task));
    }
    Ok(Reply::Done)
}
