//! What is looked up while commands are applied: it follows from the rest of the state and is rebuilt after a Raft snapshot.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::{RunId, ScheduleName, Timestamp, WorkerId};

use super::schedules::BackfillId;

#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Index {
    /// Runs with ready tasks that are not held, by submission.
    pub runnable: BTreeSet<(u64, RunId)>,
    pub retries: BTreeSet<(Timestamp, RunId, u32)>,
    pub finished: BTreeSet<(Timestamp, RunId)>,
    /// When unfinished runs must have finished.
    pub run_deadlines: BTreeSet<(Timestamp, RunId)>,
    /// When running attempts must have ended.
    pub task_deadlines: BTreeSet<(Timestamp, RunId, u32)>,
    /// Relations that are being written: no two tasks write the same one at once.
    pub busy: BTreeMap<Arc<str>, (RunId, u32)>,
    /// Ready tasks that wait until their relation is no longer busy.
    pub held: BTreeMap<Arc<str>, BTreeSet<(RunId, u32)>>,
    /// Tasks running in each pool, over all runs; pools without any are left out.
    pools: BTreeMap<Arc<str>, u32>,
    /// When the next tick of each schedule is due.
    pub ticks: BTreeSet<(Timestamp, ScheduleName)>,
    /// Schedules that follow each schedule.
    pub followers: BTreeMap<ScheduleName, BTreeSet<ScheduleName>>,
    /// Backfills that have not ended.
    pub backfills: BTreeSet<BackfillId>,
    /// Of the transcripts of all runs.
    pub transcript_bytes: u64,
    /// Workers that can take more, those with the most free slots in front.
    free: BTreeSet<(Reverse<u32>, WorkerId)>,
}

impl Index {
    pub fn hold(&mut self, relation: &Arc<str>, run: RunId, task: u32) {
        self.held.entry(relation.clone()).or_default().insert((run, task));
    }

    pub fn unhold(&mut self, relation: &str, run: RunId, task: u32) {
        if let Some(waiting) = self.held.get_mut(relation) {
            waiting.remove(&(run, task));
            if waiting.is_empty() {
                self.held.remove(relation);
            }
        }
    }

    pub fn enter_pool(&mut self, pool: &Arc<str>) {
        *self.pools.entry(pool.clone()).or_default() += 1;
    }

    pub fn leave_pool(&mut self, pool: &str) {
        if let Some(running) = self.pools.get_mut(pool) {
            *running -= 1;
            if *running == 0 {
                self.pools.remove(pool);
            }
        }
    }

    pub fn in_pool(&self, pool: &str) -> u32 {
        self.pools.get(pool).copied().unwrap_or(0)
    }

    /// Tells that a worker's free slots went from `before` to `after`.
    pub fn set_free(&mut self, worker: &WorkerId, before: u32, after: u32) {
        if before != after {
            self.free.remove(&(Reverse(before), worker.clone()));
            if after > 0 {
                self.free.insert((Reverse(after), worker.clone()));
            }
        }
    }

    /// The worker with the most free slots.
    pub fn freest(&self) -> Option<&WorkerId> {
        self.by_freedom().next()
    }

    /// Workers with free slots, those with the most in front.
    pub fn by_freedom(&self) -> impl Iterator<Item = &WorkerId> {
        self.free.iter().map(|(_, worker)| worker)
    }
}
