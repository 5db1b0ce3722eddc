//! Past-tense facts that `apply` produced, in the order in which they became true.

use std::sync::Arc;

use common::task::{Assignment, FailureKind, TaskState};
use common::{Attempt, Epoch, NodeId, RunId, Timestamp, WorkerId};

use super::run::{Counts, RunOutcome};
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
    TaskAssigned {
        worker: WorkerId,
        assignment: Assignment,
    },
    /// The attempt failed in a way worth another, which may start at `due_at`. `ending` is what the worker told, if it lived.
    TaskUpForRetry {
        run: RunId,
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
}

impl Event {
    /// The run that the event tells of; none for those about workers.
    pub fn run(&self) -> Option<RunId> {
        match self {
            Self::WorkerRegistered { .. } | Self::WorkerDraining { .. } | Self::WorkerLost { .. } => None,
            Self::TaskAssigned { assignment, .. } => Some(assignment.run),
            Self::RunSubmitted { run }
            | Self::RunRetried { run, .. }
            | Self::TaskUpForRetry { run, .. }
            | Self::TaskCancelRequested { run, .. }
            | Self::TaskFinished { run, .. }
            | Self::RunFinished { run, .. }
            | Self::RunRemoved { run } => Some(*run),
        }
    }
}
