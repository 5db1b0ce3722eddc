//! Entries of the first version: `postcard(at, command)`, with fewer commands and fields. Read, never written.

use std::collections::BTreeMap;

use common::run::{PlannedTask, RetryPolicy, RunOptions, RunPlan};
use common::session::WorkerDescription;
use common::task::{Assignment, TaskReport};
use common::{NodeId, RequestId, RunId, Timestamp, WorkerId};
use serde::Deserialize;

use super::{Damage, LogEntry, decode};
use crate::state::{CancelCause, Command, Submission};

pub(super) fn read(payload: &[u8]) -> Result<LogEntry, Damage> {
    let (at, command): (Timestamp, CommandV1) = decode(payload)?;
    Ok(LogEntry { at, proposer: None, traceparent: None, command: command.into() })
}

#[derive(Deserialize)]
enum CommandV1 {
    RegisterWorker { worker: WorkerId, slots: u32, running: Vec<Assignment> },
    DrainWorker { worker: WorkerId },
    LoseWorker { worker: WorkerId },
    SubmitRun(Box<SubmissionV1>),
    ReportTasks { reports: Vec<TaskReport> },
    PromoteRetries,
    CancelRun { run: RunId, cause: CancelCause },
    RetryRun { run: RunId, manifest_digest: String },
    RemoveRuns { runs: Vec<RunId> },
}

#[derive(Deserialize)]
struct SubmissionV1 {
    plan: RunPlanV1,
    options: RunOptions,
    manifest_digest: String,
}

#[derive(Deserialize)]
struct RunPlanV1 {
    run: RunId,
    request: RequestId,
    tasks: Vec<PlannedTaskV1>,
    pools: BTreeMap<String, u32>,
    fail_fast: bool,
    retry: RetryPolicyV1,
}

#[derive(Deserialize)]
struct PlannedTaskV1 {
    node: NodeId,
    upstreams: Vec<u32>,
    priority: u64,
    pools: Vec<String>,
}

#[derive(Deserialize)]
pub(crate) struct RetryPolicyV1 {
    attempts_max: u32,
    backoff_initial_ms: u64,
    backoff_max_ms: u64,
}

impl From<CommandV1> for Command {
    fn from(command: CommandV1) -> Self {
        match command {
            CommandV1::RegisterWorker { worker, slots, running } => {
                Self::RegisterWorker { worker, slots, running, description: WorkerDescription::default() }
            }
            CommandV1::DrainWorker { worker } => Self::DrainWorker { worker },
            CommandV1::LoseWorker { worker } => Self::LoseWorker { worker },
            CommandV1::SubmitRun(submission) => {
                let SubmissionV1 { plan, options, manifest_digest } = *submission;
                Self::SubmitRun(Box::new(Submission::new(plan.into(), options, manifest_digest)))
            }
            CommandV1::ReportTasks { reports } => Self::ReportTasks { reports },
            CommandV1::PromoteRetries => Self::PromoteRetries,
            CommandV1::CancelRun { run, cause } => Self::CancelRun { run, cause },
            CommandV1::RetryRun { run, manifest_digest } => Self::RetryRun { run, manifest_digest },
            CommandV1::RemoveRuns { runs } => Self::RemoveRuns { runs },
        }
    }
}

impl From<RunPlanV1> for RunPlan {
    fn from(plan: RunPlanV1) -> Self {
        let RunPlanV1 { run, request, tasks, pools, fail_fast, retry } = plan;
        let tasks = tasks.into_iter().map(PlannedTask::from).collect();
        Self { pools, fail_fast, retry: retry.into(), ..Self::new(run, request, tasks) }
    }
}

impl From<PlannedTaskV1> for PlannedTask {
    fn from(PlannedTaskV1 { node, upstreams, priority, pools }: PlannedTaskV1) -> Self {
        // Nodes stood for what they write.
        let relation = Some(node.to_string());
        Self { node, upstreams, priority, pools, relation }
    }
}

impl From<RetryPolicyV1> for RetryPolicy {
    fn from(RetryPolicyV1 { attempts_max, backoff_initial_ms, backoff_max_ms }: RetryPolicyV1) -> Self {
        Self { attempts_max, backoff_initial_ms, backoff_max_ms, kinds: Self::KINDS }
    }
}
