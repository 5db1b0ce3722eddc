//! One execution of a plan: its tasks, their edges and what is ready among them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use common::run::{Deployed, RetryPolicy, RunOptions};
use common::task::{Assignment, TaskState};
use common::{Attempt, NodeId, RequestId, RunId, Timestamp};
use serde::{Deserialize, Serialize};

use super::command::CancelCause;
use super::edges::Edges;
use super::hooks::is_hook;
use super::journal::Journal;
use super::ready::Ready;
use super::task::{Ending, Packed, Task};

/// Endings of earlier attempts that a run keeps.
const PAST_MAX: usize = 10_000;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub id: RunId,
    pub request: RequestId,
    /// Position among all runs ever submitted; earlier ones win ties.
    pub sequence: u64,
    pub options: RunOptions,
    pub manifest_digest: String,
    /// None on a laptop, where the project is a folder.
    pub deployed: Option<Deployed>,
    /// W3C trace context of whoever submitted.
    pub traceparent: Option<String>,
    pub submitted_at: Timestamp,
    pub state: RunState,
    /// Runs of a higher priority go first.
    pub priority: i32,
    /// Counts from submission, or from the last retry.
    pub timeout: Option<Duration>,
    /// When the run is canceled if it has not finished.
    pub deadline: Option<Timestamp>,
    /// An attempt that takes longer has failed.
    pub task_timeout: Option<Duration>,
    /// Only workers that carry all of these get tasks of the run.
    pub worker_labels: BTreeMap<String, String>,
    pub(super) fail_fast: bool,
    pub(super) retry: RetryPolicy,
    pub(super) selected_besides: Vec<NodeId>,
    /// Pools of the plan and how many tasks may run in each at once.
    pub(super) pools: Vec<(Arc<str>, u32)>,
    /// The distinct sets of pools that tasks take places in, as indexes into `pools`.
    pub(super) pool_sets: Vec<Vec<u16>>,
    pub(super) tasks: Vec<Task>,
    pub(super) upstreams: Edges,
    /// How attempts ended that others followed, by task and attempt.
    pub(super) past: BTreeMap<(u32, Attempt), Packed>,
    pub(super) journal: Journal,
    #[serde(skip)]
    pub(super) derived: Derived,
}

/// What follows from the rest of a run, kept up to date and rebuilt after a Raft snapshot is read.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Derived {
    pub downstreams: Edges,
    /// Task indexes sorted by node.
    pub by_node: Vec<u32>,
    pub ready: Ready,
    /// Tasks that run now.
    pub running: u32,
    pub counts: Counts,
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunState {
    Active,
    /// Nothing new starts; what runs is told to stop.
    Stopping(StopCause),
    Finished {
        outcome: RunOutcome,
        at: Timestamp,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StopCause {
    /// A task failed and the plan stops at the first failure.
    FailFast,
    Canceled(CancelCause),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RunOutcome {
    Success,
    Failed,
    Canceled(CancelCause),
}

impl RunOutcome {
    /// As OpenTelemetry's convention for pipelines names results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failed => "failure",
            Self::Canceled(_) => "cancellation",
        }
    }
}

/// How many tasks of a run ended in each final state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub total: u32,
    pub success: u32,
    pub failed: u32,
    pub upstream_failed: u32,
    pub skipped: u32,
    pub canceled: u32,
}

impl Counts {
    pub fn finished(&self) -> u32 {
        self.success + self.failed + self.upstream_failed + self.skipped + self.canceled
    }

    /// The counter of a final state; none for the others.
    pub(super) fn slot(&mut self, state: &TaskState) -> Option<&mut u32> {
        match state {
            TaskState::Success => Some(&mut self.success),
            TaskState::Failed(_) => Some(&mut self.failed),
            TaskState::UpstreamFailed => Some(&mut self.upstream_failed),
            TaskState::Skipped => Some(&mut self.skipped),
            TaskState::Canceled => Some(&mut self.canceled),
            TaskState::Pending | TaskState::Ready | TaskState::Running { .. } | TaskState::UpForRetry { .. } => None,
        }
    }
}

impl Run {
    pub fn has_succeeded(&self) -> bool {
        matches!(self.state, RunState::Finished { outcome: RunOutcome::Success, .. })
    }

    /// In plan order.
    pub fn tasks(&self) -> &[Task] {
        &self.tasks
    }

    pub fn task(&self, node: &NodeId) -> Option<&Task> {
        self.find(node).map(|index| &self.tasks[index as usize])
    }

    /// Indexes into [`Run::tasks`] of the tasks that must succeed before task `index`.
    pub fn upstreams(&self, index: u32) -> &[u32] {
        self.upstreams.of(index)
    }

    pub fn counts(&self) -> Counts {
        self.derived.counts
    }

    pub fn running(&self) -> u32 {
        self.derived.running
    }

    pub fn is_finished(&self) -> bool {
        matches!(self.state, RunState::Finished { .. })
    }

    /// Nodes that were selected: the tasks but for hooks, and what is selected without being one, such as ephemeral models.
    pub fn selected(&self) -> impl Iterator<Item = &NodeId> {
        self.tasks.iter().map(|task| &task.node).filter(|node| !is_hook(node)).chain(&self.selected_besides)
    }

    /// How an attempt at a task ended, if it has and is remembered.
    pub fn ending(&self, task: u32, attempt: Attempt) -> Option<Ending> {
        let last = self.tasks.get(task as usize)?;
        let packed = if last.attempt == attempt { last.ending.as_ref() } else { None };
        packed.or_else(|| self.past.get(&(task, attempt))).and_then(Packed::unpack)
    }

    /// Makes room for the ending of a further attempt.
    pub(super) fn put_ending_aside(&mut self, index: u32) {
        let Some(task) = self.tasks.get_mut(index as usize) else { return };
        let Some(ending) = task.ending.take() else { return };
        if self.past.len() < PAST_MAX {
            self.past.insert((index, task.attempt), ending);
        }
    }

    /// Index into [`Run::tasks`].
    pub fn find(&self, node: &NodeId) -> Option<u32> {
        let by_node = &self.derived.by_node;
        by_node.binary_search_by(|&index| self.tasks[index as usize].node.cmp(node)).ok().map(|place| by_node[place])
    }

    /// Index into [`Run::tasks`] of the task whose live attempt this is.
    pub(super) fn find_live(&self, assignment: &Assignment) -> Option<u32> {
        let index = self.find(&assignment.node)?;
        let is_live = matches!(&self.tasks[index as usize].state, TaskState::Running { epoch, attempt, .. }
            if *epoch == assignment.epoch && *attempt == assignment.attempt);
        is_live.then_some(index)
    }

    /// The outcome of a run whose tasks have all ended.
    pub(super) fn outcome(&self) -> RunOutcome {
        let counts = self.derived.counts;
        match self.state {
            _ if counts.success == counts.total => RunOutcome::Success,
            RunState::Stopping(StopCause::Canceled(cause)) => RunOutcome::Canceled(cause),
            RunState::Finished { outcome, .. } => outcome,
            RunState::Active | RunState::Stopping(StopCause::FailFast) => RunOutcome::Failed,
        }
    }

    /// Rebuilds everything that follows from the rest.
    pub(super) fn derive(&mut self) {
        let mut by_node: Vec<u32> = (0..self.tasks.len() as u32).collect();
        by_node.sort_unstable_by(|a, b| self.tasks[*a as usize].node.cmp(&self.tasks[*b as usize].node));
        let mut counts = Counts { total: self.tasks.len() as u32, ..Counts::default() };
        let mut running = 0;
        for Task { state, .. } in &self.tasks {
            running += u32::from(matches!(state, TaskState::Running { .. }));
            if let Some(count) = counts.slot(state) {
                *count += 1;
            }
        }
        self.count_waiting();
        let ready = Ready::new(self.pool_sets.len());
        self.derived = Derived { downstreams: self.upstreams.reversed(), by_node, ready, running, counts };
    }
}
