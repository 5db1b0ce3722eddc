//! What `apply` answers to the proposer of a command.

use common::schedule::Decision;
use common::task::Assignment;
use common::{ContentDigest, NodeId, RunId, ScheduleName, Timestamp, WorkerId};
use serde::{Deserialize, Serialize};

use super::alerts::NoticeId;
use super::schedules::BackfillId;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// How much of the blob is there.
    Received {
        bytes: u64,
    },
    /// Whether the project has a new latest bundle.
    Deployed {
        changed: bool,
    },
    /// Files that are gone.
    Collected {
        blobs: u32,
    },
    Rejected(Rejection),
    /// How many there was room for, of attempts that live.
    Kept {
        transcripts: u32,
    },
    /// How many of the schedules are new or otherwise than before.
    Put {
        changed: u32,
    },
    Decided(Decision),
    /// `new` is false where the request was known.
    BackfillStarted {
        id: BackfillId,
        new: bool,
    },
    Forgotten {
        ticks: u64,
    },
    /// The notice that is on its way.
    Noticed(NoticeId),
}

/// What became of a report. Either way it needs no resending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Verdict {
    Accepted,
    /// Another epoch is live, or none: the report changed nothing.
    Stale,
}

/// Why a command changed nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
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
    PlanTooLarge { tasks: u64, max: u64 },
    #[error("the plan names {0} twice")]
    DuplicateNode(NodeId),
    #[error("an upstream of {0} does not come before it in the plan")]
    UpstreamOutOfOrder(NodeId),
    #[error(
        "{node} wants a place in pool '{pool}', which neither the plan nor an operator defines, or which has no places"
    )]
    UnknownPool { node: NodeId, pool: String },
    #[error("the retry policy allows no attempt")]
    NoAttempts,
    #[error("a worker needs between 1 and {max} slots")]
    SlotsOutOfRange { max: u32 },
    #[error("the run has no task {0}")]
    UnknownNode(NodeId),
    #[error("bundle {0} is not deployed")]
    UnknownBundle(ContentDigest),
    #[error("{missing} files of the bundle have not been uploaded, {first} among them")]
    MissingBlobs { missing: u32, first: ContentDigest },
    #[error("a bundle has between 1 and {max} files")]
    BundleTooLarge { max: u32 },
    #[error("'{0}' is not a path inside a project, or not in its place among the others")]
    InvalidPath(String),
    #[error("a file may have {max} bytes at most")]
    BlobTooLarge { max: u64 },
    #[error("the piece does not go on from byte {received} of the file's {size}")]
    BlobOutOfPlace { received: u64, size: u64 },
    #[error("the cluster holds {max} bytes of projects, which is all it may")]
    StorageFull { max: u64 },
    #[error("names, revisions and labels may have {max} bytes at most, and names of projects and pools not be empty")]
    NameTooLong { max: u32 },
    #[error("a worker may have {max} labels at most")]
    TooManyLabels { max: u32 },
    #[error("operators may limit {max} pools at most")]
    TooManyPools { max: u32 },
    #[error("schedule '{0}' does not exist")]
    UnknownSchedule(ScheduleName),
    #[error("a cluster may have {max} schedules, and {at_once} of them, no two of one name, may be put at once")]
    TooManySchedules { max: u32, at_once: u32 },
    #[error("schedule '{0}' was changed in the meantime")]
    ScheduleChanged(ScheduleName),
    #[error("the tick of {} is not the one that schedule '{schedule}' decides next", .scheduled_at.to_iso())]
    TickDecided { schedule: ScheduleName, scheduled_at: Timestamp },
    #[error("the tick of {} of schedule '{schedule}' is not due yet", .scheduled_at.to_iso())]
    TickTooEarly { schedule: ScheduleName, scheduled_at: Timestamp },
    #[error("backfill {0} does not exist")]
    UnknownBackfill(BackfillId),
    #[error("backfill {0} has ended")]
    BackfillEnded(BackfillId),
    #[error("a backfill has between 1 and {ticks_max} ticks, and between 1 and {parallel_max} runs at once")]
    BackfillOutOfRange { ticks_max: u64, parallel_max: u32 },
    #[error("{max} backfills are under way, which is all there may be")]
    TooManyBackfills { max: u32 },
    #[error("channel '{0}' does not exist")]
    UnknownChannel(ScheduleName),
    #[error("a cluster has at most {max} channels")]
    TooManyChannels { max: u32 },
}
