//! Finished runs age out. Runs that have not finished stay, whatever the command says.

use common::RunId;

use crate::state::{Entry, Event, Rejection, Reply, RunState, State};

pub(super) fn apply(state: &mut State, entry: &mut Entry, runs: &[RunId]) -> Result<Reply, Rejection> {
    let (mut removed, mut has_written) = (0, false);
    for id in runs {
        let Some(RunState::Finished { at, .. }) = state.runs.get(id).map(|run| run.state) else { continue };
        if let Some(run) = state.runs.remove(id) {
            state.index.finished.remove(&(at, *id));
            // Under a planted bug two runs may share a request id; the entry belongs to the newer one.
            if state.requests.get(&run.request) == Some(id) {
                state.requests.remove(&run.request);
            }
            if let Some(deployed) = &run.deployed {
                state.projects.release(&deployed.bundle, entry.at);
            }
            has_written |= run.file().is_some();
            let lost: Vec<(RunId, u32)> =
                state.losses.range((*id, 0)..=(*id, u32::MAX)).map(|(task, _)| *task).collect();
            for task in lost {
                state.losses.remove(&task);
            }
            let transcripts = state.transcripts.remove(id).unwrap_or_default();
            state.index.transcript_bytes -= transcripts.length();
            state.origins.remove(id);
            entry.events.push(Event::RunRemoved { run: *id });
            removed += 1;
        }
    }
    if has_written {
        state.forget_writers();
    }
    Ok(Reply::Removed { runs: removed })
}
