//! Between the journal of a run and its events: what `apply` told is recorded, and told again to whoever watches later.
//!
//! Beyond `PAST_MAX` earlier endings of a run, events are told without theirs.

use std::borrow::Cow;
use std::sync::Arc;

use common::task::Assignment;
use common::{Attempt, Epoch, Timestamp, WorkerId};

use super::journal::Record;
use super::planted::Bug;
use super::task::{Ending, Failure};
use super::{Event, Run, State};

/// One event of a run's journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Recorded {
    /// Counted from 1, without gaps.
    pub sequence: u64,
    pub at: Timestamp,
    pub event: Event,
}

/// One try of a task, as the journal has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tried {
    pub attempt: Attempt,
    pub epoch: Epoch,
    pub worker: WorkerId,
    pub started_at: Timestamp,
    /// None while it runs.
    pub ended_at: Option<Timestamp>,
    pub failure: Option<Failure>,
}

impl State {
    /// Records what an entry did, run by run.
    pub(super) fn record(&mut self, at: Timestamp, events: &[Event]) {
        let gap = self.has(Bug::JournalGap);
        let lost = |event: &&Event| gap && matches!(event, Event::TaskUpForRetry { .. });
        for event in events.iter().filter(|event| !lost(event)) {
            if let Some(run) = event.run().and_then(|run| self.runs.get_mut(&run)) {
                run.record(at, event);
            }
        }
    }
}

impl Run {
    /// Number of the last event.
    pub fn last_sequence(&self) -> u64 {
        self.journal.last()
    }

    /// Everything that happened after event `after`; from the beginning with 0.
    pub fn events(&self, after: u64) -> impl Iterator<Item = Recorded> + '_ {
        self.journal.after(after).filter_map(|(sequence, at, record)| {
            let event = self.event(at, record)?;
            Some(Recorded { sequence, at, event })
        })
    }

    /// The attempts at a task, in order.
    pub fn attempts(&self, task: u32) -> Vec<Tried> {
        let mut tried: Vec<Tried> = Vec::new();
        for (_, at, record) in self.journal.after(0) {
            let (of, ended) = match record {
                Record::Assigned { task: of, attempt, epoch, worker } if of == task => {
                    let Some(worker) = self.journal.worker_at(worker).cloned() else { continue };
                    let epoch = Epoch(epoch);
                    tried.push(Tried { attempt, epoch, worker, started_at: at, ended_at: None, failure: None });
                    continue;
                }
                Record::UpForRetry { task, attempt, .. } | Record::Finished { task, attempt, has_ending: true, .. } => {
                    (task, attempt)
                }
                _ => continue,
            };
            let last = tried.last_mut().filter(|last| of == task && last.attempt == ended && last.ended_at.is_none());
            if let Some(last) = last {
                last.ended_at = Some(at);
                last.failure = self.ending(task, ended).and_then(|ending| ending.failure);
            }
        }
        tried
    }

    fn record(&mut self, at: Timestamp, event: &Event) {
        let record = match event {
            Event::RunSubmitted { .. } => Record::Submitted,
            Event::TaskAssigned { task, worker, assignment } => {
                let worker = self.journal.worker(worker);
                Record::Assigned { task: *task, attempt: assignment.attempt, epoch: assignment.epoch.0, worker }
            }
            Event::TaskUpForRetry { task, attempt, kind, due_at, .. } => {
                let wait = u64::try_from(due_at.since(at).as_micros()).unwrap_or(u64::MAX);
                Record::UpForRetry { task: *task, attempt: *attempt, kind: *kind, wait }
            }
            Event::TaskFinished { task, attempt, state, ending, .. } => Record::Finished {
                task: *task,
                attempt: *attempt,
                state: Cow::Borrowed(state),
                has_ending: ending.is_some(),
            },
            Event::RunStopping { cause, .. } => Record::Stopping(*cause),
            Event::RunRetried { tasks, .. } => Record::Retried { tasks: *tasks },
            Event::RunFinished { outcome, counts, .. } => Record::RunFinished { outcome: *outcome, counts: *counts },
            Event::WorkerRegistered { .. }
            | Event::WorkerDraining { .. }
            | Event::WorkerLost { .. }
            | Event::TaskCancelRequested { .. }
            | Event::RunRemoved { .. }
            | Event::BlobsCollected { .. }
            | Event::TickDecided { .. }
            | Event::TranscriptsForgotten { .. }
            | Event::TranscriptKept { .. } => return,
        };
        self.journal.push(at, record);
        if matches!(event, Event::RunFinished { .. }) {
            self.journal.shrink();
        }
    }

    fn event(&self, at: Timestamp, record: Record<'_>) -> Option<Event> {
        let run = self.id;
        let node = |task: u32| self.tasks.get(task as usize).map(|task| task.node.clone());
        let event = match record {
            Record::Submitted => Event::RunSubmitted { run },
            Record::Assigned { task, attempt, epoch, worker } => {
                let worker = self.journal.worker_at(worker)?.clone();
                let assignment = Assignment { run, node: node(task)?, attempt, epoch: Epoch(epoch) };
                Event::TaskAssigned { task, worker, assignment }
            }
            Record::UpForRetry { task, attempt, kind, wait } => {
                let ending = self.ending(task, attempt).unwrap_or(Ending { failure: None, result: None });
                let due_at = Timestamp(at.as_micros().saturating_add_unsigned(wait));
                Event::TaskUpForRetry { run, task, node: node(task)?, attempt, kind, due_at, ending: Arc::new(ending) }
            }
            Record::Finished { task, attempt, state, has_ending } => {
                let ending = has_ending.then(|| self.ending(task, attempt)).flatten().map(Arc::new);
                Event::TaskFinished { run, task, node: node(task)?, attempt, state: state.into_owned(), ending }
            }
            Record::Stopping(cause) => Event::RunStopping { run, cause },
            Record::Retried { tasks } => Event::RunRetried { run, tasks },
            Record::RunFinished { outcome, counts } => Event::RunFinished { run, outcome, counts },
        };
        Some(event)
    }
}
