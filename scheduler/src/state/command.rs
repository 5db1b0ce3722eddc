//! Requests to change the replicated state: the entries of the log.
//!
//! A command carries decided results, never inputs to code that may change. Its encoding is pinned by golden bytes: append
//! variants and fields, never reorder them.

use common::run::{RunOptions, RunPlan};
use common::task::{Assignment, TaskReport};
use common::{RunId, WorkerId};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// A worker opened a session and names the attempts it still holds, reports not yet acknowledged included.
    RegisterWorker {
        worker: WorkerId,
        slots: u32,
        running: Vec<Assignment>,
    },
    /// The worker finishes what it runs and takes nothing new.
    DrainWorker {
        worker: WorkerId,
    },
    /// The worker's lease ran out or its process is known to be gone.
    LoseWorker {
        worker: WorkerId,
    },
    SubmitRun(Box<Submission>),
    /// Reports that arrived together; each is judged by itself.
    ReportTasks {
        reports: Vec<TaskReport>,
    },
    /// Attempts whose backoff is over, by the entry's own time, may run again.
    PromoteRetries,
    CancelRun {
        run: RunId,
        cause: CancelCause,
    },
    /// Runs again, under the same run id, every task that did not succeed.
    RetryRun {
        run: RunId,
        manifest_digest: String,
    },
    /// Forgets finished runs, and with them their request ids.
    RemoveRuns {
        runs: Vec<RunId>,
    },
}

/// A run as it was decided at submission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Submission {
    pub plan: RunPlan,
    pub options: RunOptions,
    /// Names the manifest the plan was made from.
    pub manifest_digest: String,
}

/// Why a run was told to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CancelCause {
    /// Somebody asked.
    Request,
    /// A newer run took its place.
    Superseded,
    /// The only process that could go on with it died.
    Interrupted,
}
