//! A finished run goes on: every task that did not succeed starts over, under the same run id, so that what an interrupted
//! attempt published is found in the publish log and adopted. Hooks go around what is done now, so they start over as well.

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
    if run.tasks.iter().all(|task| task.state == TaskState::Success) {
        return Err(Rejection::NothingToRetry(id));
    }
    let succeeded = |index: u32| run.tasks[index as usize].state == TaskState::Success;
    let again: Vec<(u32, Step)> = (0..run.tasks.len() as u32)
        .filter_map(|index| match (succeeded(index), run.is_hook(index)) {
            (false, _) => Some((index, Step::Reset)),
            (true, true) => Some((index, Step::Repeated)),
            (true, false) => None,
        })
        .collect();
    run.state = RunState::Active;
    run.manifest_digest = manifest_digest;
    run.deadline = run.timeout.map(|timeout| entry.at.plus(timeout));
    if let Some(deadline) = run.deadline {
        state.index.run_deadlines.insert((deadline, id));
    }
    state.index.finished.remove(&(at, id));
    state.resume_origin(id);
    let tasks = again.len() as u32;
    entry.events.push(Event::RunRetried { run: id, tasks });
    for (index, step) in again {
        if let Some(run) = state.runs.get_mut(&id) {
            run.put_ending_aside(index);
            run.tasks[index as usize].tries = 0;
        }
        state.step(id, index, step);
    }
    let Some(run) = state.runs.get_mut(&id) else { return Err(Rejection::UnknownRun(id)) };
    run.count_waiting();
    let is_free = |index: &u32| {
        let task = &run.tasks[*index as usize];
        task.state == TaskState::Pending && task.waiting == 0
    };
    let free: Vec<u32> = (0..run.tasks.len() as u32).filter(is_free).collect();
    for index in free {
        state.step(id, index, Step::UpstreamsSucceeded);
    }
    Ok(Reply::Retried { tasks })
}
