//! Runs and tasks of the state as clients see them. Called under the state's lock, so nothing here takes longer than what it shows.

use common::task::TaskState;
use common::{Attempt, NodeId};
use proto::project::of_digest;
use proto::scalar::timestamp;
use proto::v1::{self, get_task_response};
use proto::{description, run, task};

use crate::state::{Counts, Ending, Failure, Run, RunOutcome, RunState, State, StopCause, Tried};

/// Where in a `traceparent` the trace id is.
const TRACE_ID: std::ops::Range<usize> = 3..35;

/// A run, its counts without looking at each task: what has not begun counts as pending.
pub fn summary(state: &State, run: &Run) -> v1::Run {
    let origin = state.origin(&run.id);
    let counts = run.counts();
    let running = run.running();
    let pending = counts.total.saturating_sub(counts.finished() + running);
    let deployed = run.deployed.as_ref();
    let finished_at = match run.state {
        RunState::Finished { at, .. } => Some(timestamp(at)),
        RunState::Active | RunState::Stopping(_) => None,
    };
    let trace_id = run.traceparent.as_deref().and_then(|parent| parent.get(TRACE_ID)).unwrap_or_default();
    v1::Run {
        run_id: run.id.to_string(),
        request_id: run.request.0.to_string(),
        project: deployed.map(|deployed| deployed.project.clone()).unwrap_or_default(),
        bundle_digest: deployed.map(|deployed| of_digest(&deployed.bundle)).unwrap_or_default(),
        verb: description::verb(run.options.verb).into(),
        target: deployed.map(|deployed| description::target(&deployed.target.clone().into())),
        state: run_state(run.state).into(),
        counts: Some(v1::TaskCounts { pending, running, ..final_counts(counts) }),
        submitted_at: Some(timestamp(run.submitted_at)),
        finished_at,
        priority: run.priority,
        sequence: run.last_sequence(),
        trace_id: trace_id.to_owned(),
        full_refresh: run.options.full_refresh,
        schedule: origin.map(|origin| origin.schedule.to_string()).unwrap_or_default(),
        scheduled_at: origin.map(|origin| timestamp(origin.scheduled_at)),
    }
}

/// A run with what each of its unfinished tasks waits for.
pub fn in_full(state: &State, run: &Run) -> v1::Run {
    let mut view = summary(state, run);
    let mut counts = v1::TaskCounts { pending: 0, running: 0, ..view.counts.unwrap_or_default() };
    for task in run.tasks() {
        match task.state {
            TaskState::Pending => counts.pending += 1,
            TaskState::Ready => counts.ready += 1,
            TaskState::Running { .. } => counts.running += 1,
            TaskState::UpForRetry { .. } => counts.up_for_retry += 1,
            _ => {}
        }
    }
    view.counts = Some(counts);
    view
}

pub fn final_counts(counts: Counts) -> v1::TaskCounts {
    v1::TaskCounts {
        total: counts.total,
        success: counts.success,
        failed: counts.failed,
        upstream_failed: counts.upstream_failed,
        skipped: counts.skipped,
        canceled: counts.canceled,
        ..v1::TaskCounts::default()
    }
}

fn run_state(state: RunState) -> v1::RunState {
    match state {
        RunState::Active => v1::RunState::Active,
        RunState::Stopping(_) => v1::RunState::Stopping,
        RunState::Finished { outcome, .. } => outcome_state(outcome),
    }
}

pub fn outcome_state(outcome: RunOutcome) -> v1::RunState {
    match outcome {
        RunOutcome::Success => v1::RunState::Success,
        RunOutcome::Failed => v1::RunState::Failed,
        RunOutcome::Canceled(_) => v1::RunState::Canceled,
    }
}

pub fn cause(cause: StopCause) -> &'static str {
    use crate::state::CancelCause;
    match cause {
        StopCause::FailFast => "fail fast",
        StopCause::Canceled(CancelCause::Request) => "canceled",
        StopCause::Canceled(CancelCause::Superseded) => "superseded by a newer run",
        StopCause::Canceled(CancelCause::Interrupted) => "interrupted",
        StopCause::Canceled(CancelCause::Timeout) => "out of time",
    }
}

/// A task of a run, by its place in the plan.
pub fn task_at(run: &Run, index: u32) -> Option<v1::Task> {
    let known = run.tasks().get(index as usize)?;
    let mut view = ended(&known.node, &known.state, known.attempt, known.ending().as_ref());
    if view.epoch == 0 {
        view.epoch = known.epoch.0;
    }
    view.upstreams = run.upstreams(index).to_vec();
    Some(view)
}

/// A task after its last attempt, if it had one.
pub fn ended(node: &NodeId, state: &TaskState, attempt: Attempt, ending: Option<&Ending>) -> v1::Task {
    let mut view = run::task(node, state);
    view.attempt = attempt.0;
    // What went wrong before is not what is going on.
    let ending = ending.filter(|_| !matches!(state, TaskState::Running { .. } | TaskState::Ready | TaskState::Pending));
    if let Some(failure) = ending.and_then(|ending| ending.failure.as_ref()) {
        view.failure = Some(failed(failure));
    }
    if let Some(result) = ending.and_then(|ending| ending.result.as_ref()) {
        view.started_at = Some(timestamp(result.compile_started_at));
        view.result = Some(task::result(result));
    }
    view
}

fn failed(failure: &Failure) -> v1::Failure {
    task::failure(failure.kind, failure.code, &failure.message)
}

pub fn attempt(tried: &Tried) -> get_task_response::Attempt {
    get_task_response::Attempt {
        attempt: tried.attempt.0,
        epoch: tried.epoch.0,
        worker: tried.worker.to_string(),
        started_at: Some(timestamp(tried.started_at)),
        ended_at: tried.ended_at.map(timestamp),
        failure: tried.failure.as_ref().map(failed),
        transcript: None,
    }
}
