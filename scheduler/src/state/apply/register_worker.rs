//! A worker opened a session. A known one gets back what it missed; whatever else it holds is stale.

use std::collections::BTreeSet;

use common::task::Assignment;
use common::{Epoch, NodeId, RunId, WorkerId};

use crate::state::planted::Bug;
use crate::state::{Entry, Event, Rejection, Reply, State, WORKER_SLOTS_MAX, Worker};

pub(super) fn apply(
    state: &mut State,
    entry: &mut Entry,
    id: WorkerId,
    slots: u32,
    running: Vec<Assignment>,
) -> Result<Reply, Rejection> {
    if slots == 0 || slots > WORKER_SLOTS_MAX {
        return Err(Rejection::SlotsOutOfRange { max: WORKER_SLOTS_MAX });
    }
    let worker =
        state.workers.entry(id.clone()).or_insert(Worker { slots: 0, draining: false, running: BTreeSet::new() });
    let free = worker.free();
    (worker.slots, worker.draining) = (slots, false);
    state.index.set_free(&id, free, worker.free());

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
