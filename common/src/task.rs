//! One node in one run: its states, and how one attempt at it ended.

use serde::{Deserialize, Serialize};

use crate::diagnostic::Code;
use crate::encoding::EncodedResult;
use crate::microbatch::BatchResults;
use crate::table::Response;
use crate::transcript::Packed;
use crate::{Attempt, Epoch, NodeId, RunId, Timestamp, WorkerId};

/// Where a task stands. Each state carries only its own data; the legal steps between them are in
/// `scheduler::state::transition`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskState {
    /// Some upstream has not succeeded yet.
    Pending,
    /// May be assigned.
    Ready,
    Running {
        worker: WorkerId,
        attempt: Attempt,
        epoch: Epoch,
        started_at: Timestamp,
    },
    /// The last attempt failed in a way worth another; it becomes ready again at `due_at`.
    UpForRetry {
        attempt: Attempt,
        due_at: Timestamp,
    },
    Success,
    Failed(FailureKind),
    /// An upstream failed or was skipped.
    UpstreamFailed,
    /// Nothing to do: fail-fast stopped the run before it, or an upstream decided so.
    Skipped,
    Canceled,
}

impl TaskState {
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Success | Self::Failed(_) | Self::UpstreamFailed | Self::Skipped | Self::Canceled)
    }
}

/// Why an attempt failed, as far as the scheduler must know to decide what comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum FailureKind {
    /// The model is wrong: SQL that the warehouse refuses, a template that fails.
    User,
    /// A test found more failures than it may (dbt's status `fail`).
    TestFailed,
    /// The warehouse was busy, gone or asked to try again.
    Transient,
    /// The machine: disk full, out of memory, a defect.
    System,
    /// The attempt ran out of time.
    Timeout,
    /// The worker stopped or was lost.
    WorkerLost,
    /// A newer attempt owns the relation; this one published nothing.
    Fenced,
    Canceled,
}

impl FailureKind {
    pub const ALL: [Self; 8] = [
        Self::User,
        Self::TestFailed,
        Self::Transient,
        Self::System,
        Self::Timeout,
        Self::WorkerLost,
        Self::Fenced,
        Self::Canceled,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::TestFailed => "test failed",
            Self::Transient => "transient",
            Self::System => "system",
            Self::Timeout => "timeout",
            Self::WorkerLost => "worker lost",
            Self::Fenced => "fenced",
            Self::Canceled => "canceled",
        }
    }
}

/// A set of kinds of failure.
#[derive(Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FailureKinds(u16);

impl FailureKinds {
    pub const NONE: Self = Self(0);
    pub const TRANSIENT: Self = Self::one(FailureKind::Transient);
    pub const WORKER_LOST: Self = Self::one(FailureKind::WorkerLost);

    pub const fn one(kind: FailureKind) -> Self {
        Self(1 << kind as u16)
    }

    #[must_use]
    pub const fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    pub const fn contains(self, kind: FailureKind) -> bool {
        self.0 & Self::one(kind).0 != 0
    }

    pub fn iter(self) -> impl Iterator<Item = FailureKind> {
        FailureKind::ALL.into_iter().filter(move |kind| self.contains(*kind))
    }
}

impl FromIterator<FailureKind> for FailureKinds {
    fn from_iter<I: IntoIterator<Item = FailureKind>>(kinds: I) -> Self {
        kinds.into_iter().fold(Self::NONE, |set, kind| set.and(Self::one(kind)))
    }
}

impl std::fmt::Debug for FailureKinds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// How one attempt ended, as the worker tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TaskOutcome {
    Success,
    Failure { kind: FailureKind, code: Code, message: String },
    Canceled,
}

/// dbt's status of a node result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeStatus {
    Success,
    Error,
    Skipped,
    Pass,
    Fail,
    Warn,
    #[serde(rename = "no-op")]
    NoOp,
    /// Some batches of a microbatch model were built, and some were not.
    #[serde(rename = "partial success")]
    PartialSuccess,
}

/// What a worker is handed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    pub run: RunId,
    pub node: NodeId,
    pub attempt: Attempt,
    pub epoch: Epoch,
}

/// What a worker tells of one attempt. A report with a stale epoch changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskReport {
    pub run: RunId,
    pub node: NodeId,
    pub attempt: Attempt,
    pub epoch: Epoch,
    pub outcome: TaskOutcome,
    pub result: NodeResult,
    /// What the attempt leaves for people to read. No part of the entry that the report becomes: it is kept beside the state.
    #[serde(skip)]
    pub transcript: Packed,
}

/// The part of a report that ends up in `run_results.json` and in the console.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "EncodedResult", into = "EncodedResult")]
pub struct NodeResult {
    pub status: NodeStatus,
    /// The slot that ran it, `Thread-1` and so on.
    pub thread: String,
    pub compile_started_at: Timestamp,
    pub compile_completed_at: Timestamp,
    pub execute_started_at: Timestamp,
    pub execute_completed_at: Timestamp,
    pub message: Option<String>,
    /// Failing rows of a test; `None` for anything else.
    pub failures: Option<i64>,
    pub response: Response,
    /// The relation that was built, rendered; what `OK created …` names.
    pub relation_name: Option<String>,
    /// SQL after Jinja; empty where the node has none.
    pub compiled_code: Option<String>,
    /// Of a microbatch model.
    pub batches: Option<BatchResults>,
}

impl NodeResult {
    /// Of a node that no attempt came to tell of.
    pub fn untold(status: NodeStatus, message: Option<String>) -> Self {
        let never = Timestamp::default();
        Self {
            status,
            thread: String::new(),
            compile_started_at: never,
            compile_completed_at: never,
            execute_started_at: never,
            execute_completed_at: never,
            message,
            failures: None,
            response: Response::default(),
            relation_name: None,
            compiled_code: None,
            batches: None,
        }
    }
}
