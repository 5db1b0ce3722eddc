//! A worker takes nothing new; what it holds it may finish.

use common::WorkerId;

use crate::state::{Entry, Event, Rejection, Reply, State};

pub(super) fn apply(state: &mut State, entry: &mut Entry, id: WorkerId) -> Result<Reply, Rejection> {
    let Some(worker) = state.workers.get_mut(&id) else { return Err(Rejection::UnknownWorker(id)) };
    let free = worker.free();
    worker.draining = true;
    state.index.set_free(&id, free, worker.free());
    entry.events.push(Event::WorkerDraining { worker: id });
    Ok(Reply::Done)
}
