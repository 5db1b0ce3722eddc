//! States of the first version, before there were journals, projects, timeouts and labels. Read, never written.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use common::run::RunOptions;
use common::session::WorkerDescription;
use common::task::TaskState;
use common::{Attempt, Epoch, NodeId, RequestId, RunId, Timestamp, WorkerId};
use serde::Deserialize;

use crate::entry::{Damage, RetryPolicyV1, decode};
use crate::state::digest::Digest;
use crate::state::edges::Edges;
use crate::state::task::Packed;
use crate::state::{Run, RunState, State, Task, Worker};

pub(super) fn read(payload: &[u8]) -> Result<State, Damage> {
    decode::<StateV1>(payload).map(State::from)
}

#[derive(Deserialize)]
struct StateV1 {
    applied: u64,
    at: Timestamp,
    digest: Digest,
    sequence: u64,
    runs: BTreeMap<RunId, RunV1>,
    requests: BTreeMap<RequestId, RunId>,
    workers: BTreeMap<WorkerId, WorkerV1>,
    illegal_steps: u64,
}

#[derive(Deserialize)]
struct WorkerV1 {
    slots: u32,
    draining: bool,
}

#[derive(Deserialize)]
struct RunV1 {
    id: RunId,
    request: RequestId,
    sequence: u64,
    options: RunOptions,
    manifest_digest: String,
    submitted_at: Timestamp,
    state: RunState,
    fail_fast: bool,
    retry: RetryPolicyV1,
    pools: Vec<(Arc<str>, u32)>,
    pool_sets: Vec<Vec<u16>>,
    tasks: Vec<TaskV1>,
    upstreams: Edges,
}

#[derive(Deserialize)]
struct TaskV1 {
    node: NodeId,
    state: TaskState,
    priority: u64,
    pool_set: u16,
    attempt: Attempt,
    tries: u32,
    epoch: Epoch,
    ending: Option<Packed>,
}

impl From<StateV1> for State {
    fn from(state: StateV1) -> Self {
        let StateV1 { applied, at, digest, sequence, runs, requests, workers, illegal_steps } = state;
        let runs = runs.into_iter().map(|(id, run)| (id, run.into())).collect();
        let worker = |WorkerV1 { slots, draining }| Worker {
            slots,
            draining,
            description: WorkerDescription::default(),
            registered_at: at,
            running: BTreeSet::new(),
        };
        let workers = workers.into_iter().map(|(id, known)| (id, worker(known))).collect();
        Self { applied, at, digest, sequence, runs, requests, workers, illegal_steps, ..Self::default() }
    }
}

impl From<RunV1> for Run {
    fn from(run: RunV1) -> Self {
        let RunV1 { id, request, sequence, options, manifest_digest, submitted_at, state, .. } = run;
        let RunV1 { fail_fast, retry, pools, pool_sets, tasks, upstreams, .. } = run;
        Self {
            id,
            request,
            sequence,
            options,
            manifest_digest,
            deployed: None,
            traceparent: None,
            submitted_at,
            state,
            priority: 0,
            timeout: None,
            deadline: None,
            task_timeout: None,
            worker_labels: BTreeMap::new(),
            fail_fast,
            retry: retry.into(),
            selected_besides: Vec::new(),
            pools,
            pool_sets,
            tasks: tasks.into_iter().map(Task::from).collect(),
            upstreams,
            past: BTreeMap::new(),
            journal: Default::default(),
            derived: Default::default(),
        }
    }
}

impl From<TaskV1> for Task {
    fn from(task: TaskV1) -> Self {
        let TaskV1 { node, state, priority, pool_set, attempt, tries, epoch, ending } = task;
        // Nodes stood for what they write.
        let relation = Some(node.as_str().into());
        Self { node, state, priority, pool_set, relation, attempt, tries, epoch, ending, waiting: 0 }
    }
}
