//! What the leader says in its own log about runs: each line with the ids under which traces, transcripts and lists know the same.

use common::RunId;
use common::task::TaskState;
use common::telemetry::TraceId;

use crate::state::{Event, RunOutcome, State};

/// Says what became true. `state` is as of then.
pub(super) fn tell(state: &State, event: &Event) {
    match event {
        Event::RunSubmitted { run } => {
            let Some(known) = state.run(run) else { return };
            let project = known.deployed.as_ref().map(|deployed| deployed.project.as_str());
            let schedule = state.origin(run).map(|origin| origin.schedule.as_str());
            let (verb, tasks) = (known.options.verb.as_str(), known.tasks().len());
            tracing::info!(%run, trace = %trace(*run), project, schedule, verb, tasks, "a run begins");
        }
        Event::RunFinished { run, outcome, counts } => {
            let (trace, result) = (trace(*run), outcome.as_str());
            let failed = counts.failed;
            match outcome {
                RunOutcome::Success => tracing::info!(%run, %trace, result, "a run ended"),
                RunOutcome::Failed | RunOutcome::Canceled(_) => {
                    tracing::warn!(%run, %trace, result, failed, "a run ended");
                }
            }
        }
        Event::TaskUpForRetry { run, node, attempt, kind, .. } => {
            let kind = kind.as_str();
            tracing::warn!(%run, task = %node, attempt = attempt.0, trace = %trace(*run), kind, "an attempt is followed by another");
        }
        Event::TaskFinished { run, node, attempt, state: TaskState::Failed(kind), .. } => {
            let kind = kind.as_str();
            tracing::warn!(%run, task = %node, attempt = attempt.0, trace = %trace(*run), kind, "a task failed");
        }
        Event::WorkerLost { worker } => tracing::warn!(%worker, "a worker is lost"),
        _ => {}
    }
}

fn trace(run: RunId) -> TraceId {
    TraceId::of_run(run)
}
