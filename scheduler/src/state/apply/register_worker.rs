//! A worker opened a session. A known one gets back what it missed; whatever else it holds is stale.

use std::collections::BTreeSet;

use common::session::WorkerDescription;
use common::task::Assignment;
use common::{Epoch, NodeId, RunId, WorkerId};

use crate::state::planted::Bug;
use crate::state::{Entry, Event, Rejection, Reply, State, Worker, worker};

pub(super) struct Hello {
    pub worker: WorkerId,
    pub slots: u32,
    pub running: Vec<Assignment>,
    pub description: WorkerDescription,
}

pub(super) fn apply(state: &mut State, entry: &mut Entry, hello: Hello) -> Result<Reply, Rejection> {
    let Hello { worker: id, slots, running, description } = hello;
    worker::check(&id, slots, &description)?;
    match state.workers.get_mut(&id) {
        // Whether it drains is not for the worker to say.
        Some(worker) => {
            let free = worker.free();
            (worker.slots, worker.description) = (slots, description);
            state.index.set_free(&id, free, worker.free());
        }
        None => {
            let running = BTreeSet::new();
            let worker = Worker { slots, draining: false, description, registered_at: entry.at, running };
            state.index.set_free(&id, 0, worker.free());
            state.workers.insert(id.clone(), worker);
        }
    }
    let owned = state.assignments(&id);
    let key = |assignment: &Assignment| -> (RunId, NodeId, Epoch) {
        (assignment.run, assignment.node.clone(), assignment.epoch)
    };
    let owned_keys: BTreeSet<_> = owned.iter().map(key).collect();
    let held_keys: BTreeSet<_> = running.iter().map(key).collect();
    let stale = running.into_iter().filter(|assignment| !owned_keys.contains(&key(assignment))).collect();
    let mut missing: Vec<Assignment> =
        owned.into_iter().filter(|assignment| !held_keys.contains(&key(assignment))).collect();
    if state.has(Bug::AssignmentNotResent) {
        missing.clear();
    }
    entry.events.push(Event::WorkerRegistered { worker: id });
    Ok(Reply::Registered { missing, stale })
}
