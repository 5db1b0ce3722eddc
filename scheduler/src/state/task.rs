//! One node in one run, as the state machine keeps it: small, since a cluster holds millions.

use std::fmt;
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
    /// Names what the task writes, over all runs.
    pub(super) relation: Option<Arc<str>>,
    /// The last attempt; 0 before the first.
    pub attempt: Attempt,
    /// Attempts since the run was submitted or last retried: what the retry policy counts.
    pub(super) tries: u32,
    /// The last attempt's epoch; 0 before the first.
    pub epoch: Epoch,
    /// How the last attempt ended, once it has.
    pub(super) ending: Option<Packed>,
    /// Upstreams that have not succeeded yet.
    #[serde(skip)]
    pub(super) waiting: u32,
}

impl Task {
    /// How the last attempt ended, once it has.
    pub fn ending(&self) -> Option<Ending> {
        self.ending.as_ref().and_then(Packed::unpack)
    }
}

/// An ending as bytes: a quarter of its size unpacked, and it is seldom looked at.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Packed(Box<[u8]>);

impl Packed {
    pub fn new(ending: &Ending) -> Self {
        let bytes = postcard::to_stdvec(ending).expect("an ending has only shapes that postcard knows");
        Self(bytes.into_boxed_slice())
    }

    pub fn unpack(&self) -> Option<Ending> {
        postcard::from_bytes(&self.0).ok()
    }
}

impl fmt::Debug for Packed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.unpack().fmt(f)
    }
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
