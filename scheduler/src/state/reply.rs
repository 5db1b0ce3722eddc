//! What `apply` answers to the proposer of a command.

use common::task::Assignment;
use common::{NodeId, RunId, WorkerId};

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    Done,
    /// The run of this request; `new` is false where the request id was known.
    Submitted {
        run: RunId,
        new: bool,
    },
    /// `missing` belongs to the worker and must be sent to it again; it holds `stale`, which is no longer its own.
    Registered {
        missing: Vec<Assignment>,
        stale: Vec<Assignment>,
    },
    /// One verdict for each report of the batch, in order.
    Reported(Vec<Verdict>),
    Retried {
        tasks: u32,
    },
    Removed {
        runs: u32,
    },
    Rejected(Rejection),
}

/// What became of a report. Either way it needs no resending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Accepted,
    /// Another epoch is live, or none: the report changed nothing.
    Stale,
}

/// Why a command changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Rejection {
    #[error("log entry {index} was applied before")]
    AlreadyApplied { index: u64 },
    #[error("run {0} does not exist")]
    UnknownRun(RunId),
    #[error("worker {0} is not registered")]
    UnknownWorker(WorkerId),
    #[error("run {0} exists under another request id")]
    RunExists(RunId),
    #[error("run {0} has not finished")]
    RunActive(RunId),
    #[error("run {0} has finished")]
    RunFinished(RunId),
    #[error("every task of run {0} succeeded")]
    NothingToRetry(RunId),
    #[error("the plan has {tasks} tasks, more than the {max} allowed")]
    PlanTooLarge { tasks: usize, max: usize },
    #[error("the plan names {0} twice")]
    DuplicateNode(NodeId),
    #[error("an upstream of {0} does not come before it in the plan")]
    UpstreamOutOfOrder(NodeId),
    #[error("{node} wants a place in pool '{pool}', which the plan does not define or which has no places")]
    UnknownPool { node: NodeId, pool: String },
    #[error("the retry policy allows no attempt")]
    NoAttempts,
    #[error("a worker needs between 1 and {max} slots")]
    SlotsOutOfRange { max: u32 },
}
