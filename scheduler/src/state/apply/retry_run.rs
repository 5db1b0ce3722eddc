//! A finished run goes on: every task that did not succeed starts over, under the same run id, so that what an interrupted
//! attempt published is found in the publish log and adopted.

use common::RunId;
use common::task::TaskState;

use crate::state::{Entry, Event, Rejection, Reply, RunState, State, Step};

pub(super) fn apply(
    state: &mut State,
    entry: &mut Entry,
    id: RunId,
    manifest_digest: String,
) -> Result<Reply, Rejection> {
    let run = state.runs.get_mut(&id).ok_or(Rejection::UnknownRun(id))?;
    let RunState::Finished { at, .. } = run.state else { return Err(Rejection::RunActive(id)) };
    let unsuccessful: Vec<u32> =
        (0..run.tasks.len() as u32).filter(|&index| run.tasks[index as usize].state != TaskState::Success).collect();
    if unsuccessful.is_empty() {
        return Err(Rejection::NothingToRetry(id));
    }
    run.state = RunState::Active;
    run.manifest_digest = manifest_digest;
    run.deadline = run.timeout.map(|timeout| entry.at.plus(timeout));
    if let Some(deadline) = run.deadline {
        state.index.run_deadlines.insert((deadline, id));
    }
    state.index.finished.remove(&(at, id));
    let tasks = unsuccessful.len() as u32;
    entry.events.push(Event::RunRetried { run: id, tasks });
    for &index in &unsuccessful {
        if let Some(run) = state.runs.get_mut(&id) {
            run.put_ending_aside(index);
            run.tasks[index as usize].tries = 0;
        }
        state.step(id, index, Step::Reset);
    }
    for index in unsuccessful {
        let waiting = state.runs.get(&id).map(|run| run.tasks[index as usize].waiting);
        if waiting == Some(0) {
            state.step(id, index, Step::UpstreamsSucceeded);
        }
    }
    Ok(Reply::Retried { tasks })
}
