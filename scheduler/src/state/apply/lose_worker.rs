//! A worker is gone: its attempts are over, and their tasks go to others under a higher epoch.

use common::WorkerId;
use common::diagnostic::Code;
use common::task::FailureKind;

use crate::state::planted::Bug;
use crate::state::{Ending, Entry, Event, Failure, Rejection, Reply, State};

pub(super) fn apply(state: &mut State, entry: &mut Entry, id: WorkerId) -> Result<Reply, Rejection> {
    let Some(worker) = state.workers.get_mut(&id) else { return Err(Rejection::UnknownWorker(id)) };
    // Its free slots must not be filled while its attempts end.
    let free = worker.free();
    worker.draining = true;
    state.index.set_free(&id, free, worker.free());
    entry.events.push(Event::WorkerLost { worker: id.clone() });
    let attempts = if state.has(Bug::AttemptsStayWithLostWorker) { Vec::new() } else { held_by(state, &id) };
    for &(run, task) in &attempts {
        let failure = Failure {
            kind: FailureKind::WorkerLost,
            code: Code::WorkerLost,
            message: format!("worker {id} stopped while it ran the task"),
        };
        let ending = Ending { failure: Some(failure), result: None };
        state.fail_attempt(entry, run, task, FailureKind::WorkerLost, ending);
    }
    state.workers.remove(&id);
    state.writers.retain(|_, writer| *writer != id);
    for &(run, _) in &attempts {
        state.finish_run(entry, run);
    }
    Ok(Reply::Done)
}

fn held_by(state: &State, id: &WorkerId) -> Vec<(common::RunId, u32)> {
    state.workers.get(id).map(|worker| worker.running.iter().copied().collect()).unwrap_or_default()
}
