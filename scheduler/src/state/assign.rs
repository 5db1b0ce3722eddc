//! Hands ready tasks to workers with free slots, inside the apply that made either of them available.
//!
//! Who goes first: the run of the highest priority, then the one with the fewest running tasks, then the one submitted first;
//! within it the task with the longest critical path, then plan order. The task goes to the worker with the most free slots
//! among those that carry the run's labels; tasks on one DuckDB file all go to the same one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::{Attempt, RunId, WorkerId};

use super::planted::Bug;
use super::{Entry, Event, Run, State, Step};

impl State {
    pub(super) fn assign(&mut self, entry: &mut Entry) {
        if self.index.runnable.is_empty() || self.index.freest().is_none() {
            return;
        }
        // A run that has nothing assignable now stays so for the rest of this pass: places only get fewer.
        let runnable = self.index.runnable.iter().filter_map(|(_, id)| self.runs.get(id));
        let mut queue: BTreeSet<(Reverse<i32>, u32, u64, RunId)> =
            runnable.map(|run| (Reverse(run.priority), run.running(), run.sequence, run.id)).collect();
        while let Some((priority, running, sequence, id)) = queue.pop_first() {
            if self.index.freest().is_none() {
                return;
            }
            let Some(worker) = self.worker_for(id) else { continue };
            let Some(index) = self.next_task(id) else { continue };
            let Some(run) = self.runs.get_mut(&id) else { continue };
            run.put_ending_aside(index);
            let task = &mut run.tasks[index as usize];
            task.tries += 1;
            let attempt = Attempt(task.attempt.0 + 1);
            let previous = task.epoch;
            let epoch = if self.has(Bug::EpochReused) && previous.0 > 0 { previous } else { entry.epoch };
            self.step(id, index, Step::Assigned { worker: worker.clone(), attempt, epoch, at: entry.at });
            if let Some(assignment) = self.assignment(id, index) {
                entry.events.push(Event::TaskAssigned { task: index, worker, assignment });
            }
            queue.insert((priority, running + 1, sequence, id));
        }
    }

    /// The freest worker that carries the labels that the run asks for. Of a run on a DuckDB file, the one that writes the file.
    fn worker_for(&mut self, id: RunId) -> Option<WorkerId> {
        let run = self.runs.get(&id)?;
        let writer = run.file().and_then(|file| self.writer_of(file, run));
        let carries =
            |worker: &&WorkerId| self.workers.get(*worker).is_some_and(|known| known.carries(&run.worker_labels));
        let able = |worker: &&WorkerId| writer.is_none_or(|writer| writer == *worker) && carries(worker);
        let worker = self.index.by_freedom().find(able).cloned()?;
        if let Some(file) = run.file().filter(|_| writer != Some(&worker)) {
            self.writers.insert(file.into(), worker.clone());
        }
        Some(worker)
    }

    /// The run's best task whose pools have room. Tasks whose relation is being written are set aside on the way.
    fn next_task(&mut self, id: RunId) -> Option<u32> {
        let run = self.runs.get_mut(&id)?;
        loop {
            let index =
                run.derived.ready.best(|set| has_room(run, set, &self.pools, |pool| self.index.in_pool(pool)))?;
            let task = &run.tasks[index as usize];
            let busy = task.relation.as_ref().filter(|relation| self.index.busy.contains_key(&***relation));
            let Some(relation) = busy else { return Some(index) };
            self.index.hold(relation, id, index);
            run.derived.ready.remove(task.pool_set, task.priority, index);
            if run.derived.ready.is_empty() {
                self.index.runnable.remove(&(run.sequence, id));
            }
        }
    }
}

/// Whether every pool of the set has a place left.
fn has_room(run: &Run, pool_set: u16, limits: &BTreeMap<Arc<str>, u32>, in_pool: impl Fn(&str) -> u32) -> bool {
    run.pool_sets[pool_set as usize].iter().all(|&pool| {
        let (name, places) = &run.pools[pool as usize];
        in_pool(name) < *limits.get(name).unwrap_or(places)
    })
}
