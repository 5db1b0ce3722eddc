//! A run is told to stop. What runs is asked to end and may still succeed.

use common::RunId;

use crate::state::{CancelCause, Entry, Rejection, Reply, RunState, State, StopCause};

pub(super) fn apply(state: &mut State, entry: &mut Entry, id: RunId, cause: CancelCause) -> Result<Reply, Rejection> {
    let run = state.runs.get(&id).ok_or(Rejection::UnknownRun(id))?;
    match run.state {
        RunState::Active => state.stop_run(entry, id, StopCause::Canceled(cause)),
        // Whoever cancels does not want the hooks either.
        RunState::Stopping(StopCause::FailFast) if run.has_hooks_left() => {
            state.stop_run(entry, id, StopCause::Canceled(cause));
        }
        RunState::Stopping(_) => {}
        RunState::Finished { .. } => return Err(Rejection::RunFinished(id)),
    }
    state.finish_run(entry, id);
    Ok(Reply::Done)
}
