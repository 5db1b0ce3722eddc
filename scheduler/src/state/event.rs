//! Past-tense facts that `apply` produced, in the order in which they became true. `task` is an index into the run's tasks.

use std::sync::Arc;

use common::task::{Assignment, FailureKind, TaskState};
use common::{Attempt, ContentDigest, Epoch, NodeId, RunId, ScheduleName, Timestamp, WorkerId};

use super::run::{Counts, RunOutcome, StopCause};
use super::schedules::Tick;
use super::task::Ending;

#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    WorkerRegistered {
        worker: WorkerId,
    },
    WorkerDraining {
        worker: WorkerId,
    },
    WorkerLost {
        worker: WorkerId,
    },
    RunSubmitted {
        run: RunId,
    },
    /// The unsuccessful tasks of a finished run start over; `tasks` of them.
    RunRetried {
        run: RunId,
        tasks: u32,
    },
    /// Nothing new starts any more.
    RunStopping {
        run: RunId,
        cause: StopCause,
    },
    TaskAssigned {
        task: u32,
        worker: WorkerId,
        assignment: Assignment,
    },
    /// The attempt failed in a way worth another, which may start at `due_at`. `ending` is what the worker told, if it lived.
    TaskUpForRetry {
        run: RunId,
        task: u32,
        node: NodeId,
        attempt: Attempt,
        kind: FailureKind,
        due_at: Timestamp,
        ending: Arc<Ending>,
    },
    /// The attempt should stop; its worker will still report how it ended.
    TaskCancelRequested {
        worker: WorkerId,
        run: RunId,
        node: NodeId,
        epoch: Epoch,
    },
    /// `state` is final. `attempt` is the last one, 0 where the task never ran.
    TaskFinished {
        run: RunId,
        task: u32,
        node: NodeId,
        attempt: Attempt,
        state: TaskState,
        ending: Option<Arc<Ending>>,
    },
    RunFinished {
        run: RunId,
        outcome: RunOutcome,
        counts: Counts,
    },
    RunRemoved {
        run: RunId,
    },
    /// Nobody will ask for these files any more.
    BlobsCollected {
        digests: Vec<ContentDigest>,
    },
    /// These bytes belong at `offset` of the run's file of transcripts. No part of the run's story: what an attempt left is told when it
    /// ends.
    TranscriptKept {
        run: RunId,
        offset: u64,
        piece: Vec<u8>,
    },
    /// Nobody will ask for the run's file of transcripts any more.
    TranscriptsForgotten {
        run: RunId,
    },
    /// Of a tick that waited, a second time when its run begins.
    TickDecided {
        schedule: ScheduleName,
        tick: Arc<Tick>,
    },
}

impl Event {
    /// The run that the event tells of; none for those about workers and files.
    pub fn run(&self) -> Option<RunId> {
        match self {
            Self::WorkerRegistered { .. }
            | Self::WorkerDraining { .. }
            | Self::WorkerLost { .. }
            | Self::BlobsCollected { .. }
            | Self::TranscriptKept { .. }
            | Self::TranscriptsForgotten { .. }
            | Self::TickDecided { .. } => None,
            Self::TaskAssigned { assignment, .. } => Some(assignment.run),
            Self::RunSubmitted { run }
            | Self::RunRetried { run, .. }
            | Self::RunStopping { run, .. }
            | Self::TaskUpForRetry { run, .. }
            | Self::TaskCancelRequested { run, .. }
            | Self::TaskFinished { run, .. }
            | Self::RunFinished { run, .. }
            | Self::RunRemoved { run } => Some(*run),
        }
    }
}
