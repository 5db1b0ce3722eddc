//! Requests to change the replicated state: the entries of the log.
//!
//! A command carries decided results, never inputs to code that may change. Its encoding is pinned by golden bytes: append
//! variants; a change of fields is a new version of `entry`.

use std::collections::BTreeMap;

use common::alert::Channel;
use common::bundle::BundleFile;
use common::run::{Deployed, RunOptions, RunPlan};
use common::schedule::{MissReason, Schedule, SourceGate, Upcoming};
use common::session::WorkerDescription;
use common::task::{Assignment, TaskReport};
use common::transcript::Told;
use common::{ContentDigest, NodeId, RequestId, RunId, ScheduleName, Timestamp, WorkerId};
use serde::{Deserialize, Serialize};

use super::alerts::{NoticeId, Sent};
use super::schedules::{BackfillId, Order, Series};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Command {
    /// A worker opened a session and names the attempts it still holds, reports not yet acknowledged included.
    RegisterWorker {
        worker: WorkerId,
        slots: u32,
        running: Vec<Assignment>,
        description: WorkerDescription,
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
    /// Runs and attempts that are past their time, by the entry's own time, end.
    EnforceTimeouts,
    /// Limits how many tasks run in a pool at once, whatever plans say; `None` leaves it to the plans again.
    SetPool {
        pool: String,
        places: Option<u32>,
    },
    /// A piece of a file. The state keeps how much is there; the bytes are for whoever applies the entry.
    PutBlob {
        digest: ContentDigest,
        /// Of the whole file.
        size: u64,
        offset: u64,
        bytes: Vec<u8>,
    },
    /// Makes a revision of a project out of files that are held.
    DeployProject {
        project: String,
        bundle: ContentDigest,
        /// In the order of their paths.
        files: Vec<BundleFile>,
        revision: String,
    },
    /// Forgets files that no bundle names and that nobody added to since.
    CollectBlobs {
        before: Timestamp,
    },
    /// What attempts left for people to read. The state keeps where it is; the bytes are for whoever applies the entry.
    KeepTranscripts {
        transcripts: Vec<Told>,
    },
    /// Declares schedules, all or none.
    PutSchedules {
        puts: Vec<PutSchedule>,
    },
    RemoveSchedules {
        names: Vec<ScheduleName>,
    },
    PauseSchedule {
        name: ScheduleName,
    },
    /// What the pause kept from being due is recorded as missed.
    ResumeSchedule {
        name: ScheduleName,
        next: Option<Upcoming>,
        slept: Option<Slept>,
    },
    /// Decides a tick, and begins its run where it has one.
    DecideTick(Box<TickDecision>),
    StartBackfill(Box<BackfillRequest>),
    SteerBackfill {
        id: BackfillId,
        steer: Steer,
    },
    /// Forgets what was decided about ticks before then.
    ForgetTicks {
        before: Timestamp,
    },
    /// Declares channels of alerts.
    PutChannels {
        channels: Vec<Channel>,
    },
    RemoveChannels {
        names: Vec<ScheduleName>,
    },
    /// Sends something over a channel, to see whether it arrives.
    TestChannel {
        name: ScheduleName,
    },
    /// What became of notices that were sent.
    SettleNotices {
        settled: Vec<(NoticeId, Sent)>,
    },
    /// There are alerts about ticks that have not succeeded in time, by the entry's own time.
    TellDeadlines,
    /// Declares schedules, all or none, and what each waits for.
    DeclareSchedules {
        puts: Vec<PutSchedule>,
        /// One that is not here waits for nothing.
        gates: BTreeMap<ScheduleName, SourceGate>,
    },
    /// Forgets what the attempts of finished runs left; the runs themselves stay.
    ForgetTranscripts {
        runs: Vec<RunId>,
    },
}

impl Command {
    pub fn name(&self) -> &'static str {
        match self {
            Self::RegisterWorker { .. } => "register_worker",
            Self::DrainWorker { .. } => "drain_worker",
            Self::LoseWorker { .. } => "lose_worker",
            Self::SubmitRun(_) => "submit_run",
            Self::ReportTasks { .. } => "report_tasks",
            Self::PromoteRetries => "promote_retries",
            Self::CancelRun { .. } => "cancel_run",
            Self::RetryRun { .. } => "retry_run",
            Self::RemoveRuns { .. } => "remove_runs",
            Self::EnforceTimeouts => "enforce_timeouts",
            Self::SetPool { .. } => "set_pool",
            Self::PutBlob { .. } => "put_blob",
            Self::DeployProject { .. } => "deploy_project",
            Self::CollectBlobs { .. } => "collect_blobs",
            Self::KeepTranscripts { .. } => "keep_transcripts",
            Self::PutSchedules { .. } => "put_schedules",
            Self::RemoveSchedules { .. } => "remove_schedules",
            Self::PauseSchedule { .. } => "pause_schedule",
            Self::ResumeSchedule { .. } => "resume_schedule",
            Self::DecideTick(_) => "decide_tick",
            Self::StartBackfill(_) => "start_backfill",
            Self::SteerBackfill { .. } => "steer_backfill",
            Self::ForgetTicks { .. } => "forget_ticks",
            Self::PutChannels { .. } => "put_channels",
            Self::RemoveChannels { .. } => "remove_channels",
            Self::TestChannel { .. } => "test_channel",
            Self::SettleNotices { .. } => "settle_notices",
            Self::TellDeadlines => "tell_deadlines",
            Self::DeclareSchedules { .. } => "declare_schedules",
            Self::ForgetTranscripts { .. } => "forget_transcripts",
        }
    }
}

/// A run as it was decided at submission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Submission {
    pub plan: RunPlan,
    pub options: RunOptions,
    /// Names the manifest the plan was made from.
    pub manifest_digest: String,
    /// None on a laptop, where the project is a folder.
    pub deployed: Option<Deployed>,
    /// Nodes that were selected and are no tasks of the plan, such as ephemeral models.
    pub selected_besides: Vec<NodeId>,
    /// W3C trace context of whoever submitted.
    pub traceparent: Option<String>,
}

impl Submission {
    /// A run of a project that is a folder on this machine.
    pub fn new(plan: RunPlan, options: RunOptions, manifest_digest: impl Into<String>) -> Self {
        let manifest_digest = manifest_digest.into();
        Self { plan, options, manifest_digest, deployed: None, selected_besides: Vec::new(), traceparent: None }
    }
}

/// One schedule that is declared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PutSchedule {
    pub declared: Schedule,
    /// The first tick by its calendar that is yet to come. A schedule whose calendar stays the same keeps the one it has.
    pub next: Option<Upcoming>,
    /// None leaves it as it is.
    pub paused: Option<bool>,
}

/// Ticks that were not due because their schedule was paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slept {
    /// The first and the last of them.
    pub from: Timestamp,
    pub until: Timestamp,
    pub count: u64,
}

/// What is to be decided about a tick.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TickDecision {
    pub schedule: ScheduleName,
    /// Of the schedule that this was planned for.
    pub version: u64,
    pub series: Series,
    pub scheduled_at: Timestamp,
    /// The tick of the series that follows.
    pub next: Option<Upcoming>,
    /// By the wall clock of the leader.
    pub decided_at: Timestamp,
    pub proposal: TickProposal,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum TickProposal {
    /// A run, if those of earlier ticks allow it.
    Run(Box<Submission>),
    /// None, nor for the ticks up to `until`.
    Missed { until: Timestamp, count: u64, reason: MissReason },
    /// None, since there could be none.
    Failed { reason: String },
}

/// Runs that somebody wants for past ticks.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackfillRequest {
    pub schedule: ScheduleName,
    /// Of the schedule that the ticks were counted for.
    pub version: u64,
    pub request: RequestId,
    /// The first and the last tick.
    pub from: Timestamp,
    pub until: Timestamp,
    pub total: u64,
    /// The one that is run first.
    pub first: Timestamp,
    pub order: Order,
    /// Most runs at once.
    pub parallel: u32,
}

/// What a backfill is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Steer {
    /// Begin nothing new.
    Pause,
    Resume,
    /// Begin nothing new, ever, and stop what runs.
    Cancel,
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
    /// It took longer than its plan allows.
    Timeout,
}
