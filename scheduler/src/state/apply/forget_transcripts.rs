//! What attempts left ages out sooner than their runs: it is the larger part. Runs that have not finished keep theirs.

use common::RunId;

use crate::state::{Entry, Event, Rejection, Reply, RunState, State};

pub(super) fn apply(state: &mut State, entry: &mut Entry, runs: &[RunId]) -> Result<Reply, Rejection> {
    let mut forgotten = 0;
    for id in runs {
        let is_finished = state.runs.get(id).is_some_and(|run| matches!(run.state, RunState::Finished { .. }));
        if !is_finished {
            continue;
        }
        let Some(transcripts) = state.transcripts.remove(id) else { continue };
        state.index.transcript_bytes -= transcripts.length();
        entry.events.push(Event::TranscriptsForgotten { run: *id });
        forgotten += 1;
    }
    Ok(Reply::Removed { runs: forgotten })
}
