//! The replicated state machine: commands in, events out.
//!
//! Invariants:
//! - `apply` is total and deterministic: no clock, no randomness, no hash order, no panic, whatever the command.
//! - Every change of a task's state goes through `State::step`, which asks the transition table first.
//! - A task runs under at most one epoch, the index of the entry that assigned it; epochs of a task strictly grow.
//! - After every command, no slot is free while a task could take it.

mod again;
pub mod alerts;
mod apply;
mod assign;
pub mod command;
mod digest;
mod edges;
pub mod event;
mod history;
mod hooks;
mod index;
pub mod invariants;
mod journal;
pub mod planted;
pub mod projects;
mod ready;
pub mod reply;
mod retry;
pub mod run;
pub mod schedules;
pub mod snapshot;
pub mod task;
pub mod transcripts;
pub mod transition;
pub mod worker;
mod writers;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::schedule::SourceGate;
use common::task::{Assignment, TaskState};
use common::{ContentDigest, Epoch, RequestId, RunId, ScheduleName, Timestamp, WorkerId};
use serde::{Deserialize, Serialize};

pub use command::{CancelCause, Command, Submission};
pub use event::Event;
pub use history::{Recorded, Tried};
pub use reply::{Rejection, Reply, Verdict};
pub use run::{Counts, Run, RunOutcome, RunState, StopCause};
pub use schedules::{Backfill, BackfillId, Origin, Scheduled, Tick};
pub use task::{Ending, Failure, Task};
pub use transition::{Illegal, Step, transition};
pub use worker::Worker;

use alerts::Alerts;
use digest::Digest;
use index::Index;
use projects::Projects;
use transcripts::Transcripts;

/// Most tasks that one plan may have.
pub const PLAN_TASKS_MAX: usize = 1_000_000;
/// Most slots that one worker may have.
pub const WORKER_SLOTS_MAX: u32 = 100_000;

/// Most pools that operators may limit.
pub const POOLS_MAX: usize = 1_000;
/// Most labels of a worker.
pub const LABELS_MAX: usize = 64;
/// Longest name of a project or pool, revision or label, in bytes.
pub const NAME_MAX: usize = 256;

/// Everything that replicas agree on.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct State {
    applied: u64,
    at: Timestamp,
    digest: Digest,
    sequence: u64,
    runs: BTreeMap<RunId, Run>,
    requests: BTreeMap<RequestId, RunId>,
    workers: BTreeMap<WorkerId, Worker>,
    /// Limits of pools that operators configured.
    pools: BTreeMap<Arc<str>, u32>,
    projects: Projects,
    /// Steps that the transition table refused: always 0, or there is a defect.
    illegal_steps: u64,
    /// Of runs whose attempts left any.
    transcripts: BTreeMap<RunId, Transcripts>,
    /// Attempts at a task that were lost with their workers, since the run was submitted or last retried. Without tasks that lost none.
    losses: BTreeMap<(RunId, u32), u32>,
    /// Which worker writes each DuckDB file, by its database.
    writers: BTreeMap<Arc<str>, WorkerId>,
    schedules: BTreeMap<ScheduleName, Scheduled>,
    /// Of runs that schedules began.
    origins: BTreeMap<RunId, Origin>,
    backfills: BTreeMap<BackfillId, Backfill>,
    /// What was decided about ticks before then is forgotten.
    forgotten_before: Timestamp,
    alerts: Alerts,
    /// Of schedules that follow others: which of those have succeeded since, and of which tick.
    arrivals: BTreeMap<ScheduleName, BTreeMap<ScheduleName, Timestamp>>,
    /// What schedules wait for.
    gates: BTreeMap<ScheduleName, SourceGate>,
    #[serde(skip)]
    index: Index,
    #[cfg(feature = "planted-bugs")]
    #[serde(skip)]
    planted: Option<planted::Bug>,
}

/// What one command did.
#[derive(Clone, Debug, PartialEq)]
pub struct Applied {
    pub reply: Reply,
    pub events: Vec<Event>,
}

/// What the functions of one `apply` share: the entry's place and time, and the events so far.
struct Entry {
    epoch: Epoch,
    at: Timestamp,
    events: Vec<Event>,
}

impl State {
    /// Applies the entry `index`, proposed at `at`. Entries at or below the last applied one change nothing.
    pub fn apply(&mut self, index: u64, at: Timestamp, command: Command) -> Applied {
        if index <= self.applied {
            return Applied { reply: Reply::Rejected(Rejection::AlreadyApplied { index }), events: Vec::new() };
        }
        self.applied = index;
        // A proposer's clock may step back; the state's time does not.
        self.at = self.at.max(at);
        self.digest.mix(&[index, self.at.as_micros() as u64]);
        let mut entry = Entry { epoch: Epoch(index), at: self.at, events: Vec::new() };
        let reply = apply::dispatch(self, &mut entry, command).unwrap_or_else(Reply::Rejected);
        self.raise(&entry);
        self.assign(&mut entry);
        self.digest.mix(&[entry.events.len() as u64]);
        self.record(entry.at, &entry.events);
        Applied { reply, events: entry.events }
    }

    /// Index of the last applied entry; 0 before the first.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// The latest time that any entry carried.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// A rolling hash of every entry's place and time, every step of a task, and how many events each entry had: equal on replicas
    /// that applied the same entries.
    pub fn digest(&self) -> u64 {
        self.digest.value()
    }

    pub fn run(&self, run: &RunId) -> Option<&Run> {
        self.runs.get(run)
    }

    /// By run id, which is also by time of submission as far as clocks agree.
    pub fn runs(&self) -> impl DoubleEndedIterator<Item = &Run> {
        self.runs.values()
    }

    pub fn run_of(&self, request: &RequestId) -> Option<RunId> {
        self.requests.get(request).copied()
    }

    pub fn worker(&self, worker: &WorkerId) -> Option<&Worker> {
        self.workers.get(worker)
    }

    pub fn workers(&self) -> impl Iterator<Item = (&WorkerId, &Worker)> {
        self.workers.iter()
    }

    /// When the first backoff ends.
    pub fn next_retry(&self) -> Option<Timestamp> {
        self.index.retries.first().map(|(due_at, ..)| *due_at)
    }

    /// When the first run or attempt is out of time.
    pub fn next_timeout(&self) -> Option<Timestamp> {
        let run = self.index.run_deadlines.first().map(|(due_at, _)| *due_at);
        let task = self.index.task_deadlines.first().map(|(due_at, ..)| *due_at);
        run.into_iter().chain(task).min()
    }

    /// Limits of pools that operators configured.
    pub fn pools(&self) -> impl Iterator<Item = (&str, u32)> {
        self.pools.iter().map(|(pool, places)| (&**pool, *places))
    }

    /// Tasks that run now and take a place in the pool.
    pub fn in_pool(&self, pool: &str) -> u32 {
        self.index.in_pool(pool)
    }

    pub fn alerts(&self) -> &Alerts {
        &self.alerts
    }

    pub fn projects(&self) -> &Projects {
        &self.projects
    }

    /// Where the transcripts of a run's attempts lie; none where they left none.
    pub fn transcripts_of(&self, run: &RunId) -> Option<&Transcripts> {
        self.transcripts.get(run)
    }

    /// Runs whose attempts left transcripts, and where these lie.
    pub fn transcripts(&self) -> impl Iterator<Item = (&RunId, &Transcripts)> {
        self.transcripts.iter()
    }

    /// Finished runs, the one that finished first in front.
    pub fn finished(&self) -> impl ExactSizeIterator<Item = (Timestamp, RunId)> {
        self.index.finished.iter().copied()
    }

    /// What the worker should be running, by the state.
    pub fn assignments(&self, worker: &WorkerId) -> Vec<Assignment> {
        let running = self.workers.get(worker).map(|worker| &worker.running);
        running.into_iter().flatten().filter_map(|&(run, task)| self.assignment(run, task)).collect()
    }

    fn assignment(&self, run: RunId, index: u32) -> Option<Assignment> {
        let task = &self.runs.get(&run)?.tasks[index as usize];
        Some(Assignment { run, node: task.node.clone(), attempt: task.attempt, epoch: task.epoch })
    }

    /// Brings back what is not part of a Raft snapshot.
    pub fn restore(&mut self) {
        self.index = Index::default();
        self.index.transcript_bytes = self.transcripts.values().map(Transcripts::length).sum();
        for worker in self.workers.values_mut() {
            worker.running.clear();
        }
        for run in self.runs.values_mut() {
            run.derive();
        }
        let bundles = self.runs.values().filter_map(|run| run.deployed.as_ref()).map(|deployed| deployed.bundle);
        let bundles: Vec<ContentDigest> = bundles.chain(self.scheduled_bundles()).collect();
        self.projects.derive(bundles.into_iter());
        self.index_all();
        self.index_schedules();
        self.alerts.index();
    }

    fn index_all(&mut self) {
        for (id, worker) in &self.workers {
            self.index.set_free(id, 0, worker.free());
        }
        let ids: Vec<(RunId, u32)> = self.runs.values().map(|run| (run.id, run.tasks.len() as u32)).collect();
        for (id, tasks) in ids {
            let run = &self.runs[&id];
            match (run.state, run.deadline) {
                (RunState::Finished { at, .. }, _) => drop(self.index.finished.insert((at, id))),
                (RunState::Active, Some(deadline)) => drop(self.index.run_deadlines.insert((deadline, id))),
                _ => {}
            }
            for task in 0..tasks {
                self.enter(id, task);
            }
        }
    }

    /// Moves a task along the transition table and keeps everything derived from its state in step.
    fn step(&mut self, run: RunId, task: u32, step: Step) {
        let Some(state) = self.runs.get(&run).and_then(|run| run.tasks.get(task as usize)).map(|task| &task.state)
        else {
            self.illegal_steps += 1;
            return;
        };
        match transition(state, step) {
            Ok(next) => {
                self.leave(run, task);
                self.digest.mix(&[task.into(), digest::word(&next)]);
                self.set(run, task, next);
                self.enter(run, task);
            }
            Err(_) => self.illegal_steps += 1,
        }
    }

    fn set(&mut self, run: RunId, index: u32, next: TaskState) {
        let Some(run) = self.runs.get_mut(&run) else { return };
        let derived = &mut run.derived;
        let task = &mut run.tasks[index as usize];
        if let Some(count) = derived.counts.slot(&task.state) {
            *count -= 1;
        }
        if let Some(count) = derived.counts.slot(&next) {
            *count += 1;
        }
        derived.running -= u32::from(matches!(task.state, TaskState::Running { .. }));
        derived.running += u32::from(matches!(next, TaskState::Running { .. }));
        if let TaskState::Running { attempt, epoch, .. } = &next {
            (task.attempt, task.epoch) = (*attempt, *epoch);
        }
        task.state = next;
    }

    /// Takes a task out of the indexes that its state put it in.
    fn leave(&mut self, id: RunId, index: u32) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let task = &run.tasks[index as usize];
        match &task.state {
            TaskState::Ready => {
                if !run.derived.ready.remove(task.pool_set, task.priority, index) {
                    if let Some(relation) = &task.relation {
                        self.index.unhold(relation, id, index);
                    }
                } else if run.derived.ready.is_empty() {
                    self.index.runnable.remove(&(run.sequence, id));
                }
            }
            TaskState::Running { worker: worker_id, started_at, .. } => {
                if let Some(timeout) = run.task_timeout {
                    self.index.task_deadlines.remove(&(started_at.plus(timeout), id, index));
                }
                if let Some(worker) = self.workers.get_mut(worker_id) {
                    let free = worker.free();
                    worker.running.remove(&(id, index));
                    self.index.set_free(worker_id, free, worker.free());
                }
                for &pool in &run.pool_sets[task.pool_set as usize] {
                    self.index.leave_pool(&run.pools[pool as usize].0);
                }
                if let Some(relation) = task.relation.clone() {
                    self.index.busy.remove(&relation);
                    self.release(&relation);
                }
            }
            TaskState::UpForRetry { due_at, .. } => {
                self.index.retries.remove(&(*due_at, id, index));
            }
            _ => {}
        }
    }

    /// Puts a task into the indexes of its state.
    fn enter(&mut self, id: RunId, index: u32) {
        let Some(run) = self.runs.get_mut(&id) else { return };
        let task = &run.tasks[index as usize];
        match &task.state {
            TaskState::Ready => {
                run.derived.ready.insert(task.pool_set, task.priority, index);
                self.index.runnable.insert((run.sequence, id));
            }
            TaskState::Running { worker: worker_id, started_at, .. } => {
                if let Some(timeout) = run.task_timeout {
                    self.index.task_deadlines.insert((started_at.plus(timeout), id, index));
                }
                if let Some(worker) = self.workers.get_mut(worker_id) {
                    let free = worker.free();
                    worker.running.insert((id, index));
                    self.index.set_free(worker_id, free, worker.free());
                }
                for &pool in &run.pool_sets[task.pool_set as usize] {
                    self.index.enter_pool(&run.pools[pool as usize].0);
                }
                if let Some(relation) = &task.relation {
                    self.index.busy.insert(relation.clone(), (id, index));
                }
            }
            TaskState::UpForRetry { due_at, .. } => {
                self.index.retries.insert((*due_at, id, index));
            }
            _ => {}
        }
    }

    /// Nobody writes the relation any more: whoever waited for it may be assigned again.
    fn release(&mut self, relation: &str) {
        for (id, index) in self.index.held.remove(relation).unwrap_or_default() {
            let Some(run) = self.runs.get_mut(&id) else { continue };
            let task = &run.tasks[index as usize];
            run.derived.ready.insert(task.pool_set, task.priority, index);
            self.index.runnable.insert((run.sequence, id));
        }
    }

    /// Lets a simulation check that it finds the bug.
    #[cfg(feature = "planted-bugs")]
    pub fn plant(&mut self, bug: Option<planted::Bug>) {
        self.planted = bug;
    }

    #[cfg(feature = "planted-bugs")]
    pub(crate) fn has(&self, bug: planted::Bug) -> bool {
        self.planted == Some(bug)
    }

    #[cfg(not(feature = "planted-bugs"))]
    pub(crate) fn has(&self, _: planted::Bug) -> bool {
        false
    }
}
