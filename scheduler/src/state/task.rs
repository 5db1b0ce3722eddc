//! One node in one run, as the state machine keeps it: small, since a cluster holds millions.

use std::sync::Arc;

use common::diagnostic::Code;
use common::task::{FailureKind, NodeResult, TaskState};
use common::{Attempt, Epoch, NodeId};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    pub node: NodeId,
    pub state: TaskState,
    /// Length of the critical path from here to the end; higher runs first.
    pub priority: u64,
    /// Index into the run's pool sets.
    pub(super) pool_set: u16,
    /// The last attempt; 0 before the first.
    pub attempt: Attempt,
    /// Attempts since the run was submitted or last retried: what the retry policy counts.
    pub(super) tries: u32,
    /// The last attempt's epoch; 0 before the first.
    pub epoch: Epoch,
    /// How the last attempt ended, where one did.
    pub ending: Option<Arc<Ending>>,
    /// Upstreams that have not succeeded yet.
    #[serde(skip)]
    pub(super) waiting: u32,
}

/// How an attempt ended, as it is shown to people and written to `run_results.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ending {
    pub failure: Option<Failure>,
    /// What the worker told; nothing where it was lost.
    pub result: Option<NodeResult>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    pub kind: FailureKind,
    pub code: Code,
    pub message: String,
}
