//! Hands ready tasks to workers with free slots, inside the apply that made either of them available.
//!
//! Who goes first: the run with the fewest running tasks, then the one submitted first; within it the task with the longest
//! critical path, then plan order. The task goes to the worker with the most free slots.

use std::collections::BTreeSet;

use common::{Attempt, RunId};

use super::planted::Bug;
use super::{Entry, Event, Run, State, Step};

impl State {
    pub(super) fn assign(&mut self, entry: &mut Entry) {
        if self.index.runnable.is_empty() || self.index.freest().is_none() {
            return;
        }
        // A run that has nothing assignable now stays so for the rest of this pass: places only get fewer.
        let runnable =
            self.index.runnable.iter().filter_map(|&(sequence, id)| Some((self.runs.get(&id)?, sequence, id)));
        let mut queue: BTreeSet<(u32, u64, RunId)> =
            runnable.map(|(run, sequence, id)| (run.running(), sequence, id)).collect();
        while let Some((running, sequence, id)) = queue.pop_first() {
            let Some(worker) = self.index.freest().cloned() else { return };
            let Some(index) = self.next_task(id) else { continue };
            let Some(task) = self.runs.get_mut(&id).and_then(|run| run.tasks.get_mut(index as usize)) else { continue };
            task.tries += 1;
            let attempt = Attempt(task.attempt.0 + 1);
            let previous = task.epoch;
            let epoch = if self.has(Bug::EpochReused) && previous.0 > 0 { previous } else { entry.epoch };
            self.step(id, index, Step::Assigned { worker: worker.clone(), attempt, epoch, at: entry.at });
            if let Some(assignment) = self.assignment(id, index) {
                entry.events.push(Event::TaskAssigned { worker, assignment });
            }
            queue.insert((running + 1, sequence, id));
        }
    }

    /// The run's best task whose pools have room. Tasks whose node is busy in another run are set aside on the way.
    fn next_task(&mut self, id: RunId) -> Option<u32> {
        let run = self.runs.get_mut(&id)?;
        loop {
            let index = run.derived.ready.best(|set| has_room(run, set, |pool| self.index.in_pool(pool)))?;
            let task = &run.tasks[index as usize];
            if !self.index.busy.contains_key(&task.node) {
                return Some(index);
            }
            self.index.hold(&task.node, id, index);
            run.derived.ready.remove(task.pool_set, task.priority, index);
            if run.derived.ready.is_empty() {
                self.index.runnable.remove(&(run.sequence, id));
            }
        }
    }
}

/// Whether every pool of the set has a place left.
pub(super) fn has_room(run: &Run, pool_set: u16, in_pool: impl Fn(&str) -> u32) -> bool {
    run.pool_sets[pool_set as usize].iter().all(|&pool| {
        let (name, places) = &run.pools[pool as usize];
        in_pool(name) < *places
    })
}
