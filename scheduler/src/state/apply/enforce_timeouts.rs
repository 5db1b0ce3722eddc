//! Time is up: attempts that took too long have failed, runs that took too long are canceled.
//!
//! A worker that is told to stop may still be at it when the next attempt starts; the fence keeps it from publishing.

use std::collections::BTreeSet;

use common::RunId;
use common::diagnostic::Code;
use common::task::{FailureKind, TaskState};

use crate::state::{CancelCause, Ending, Entry, Event, Failure, Rejection, Reply, RunState, State, StopCause};

pub(super) fn apply(state: &mut State, entry: &mut Entry) -> Result<Reply, Rejection> {
    let mut touched = BTreeSet::new();
    while let Some(&(due_at, run, task)) = state.index.task_deadlines.first() {
        if due_at > entry.at {
            break;
        }
        time_out(state, entry, run, task);
        // Whatever came of it, the entry must go, or this loop would not end.
        state.index.task_deadlines.remove(&(due_at, run, task));
        touched.insert(run);
    }
    while let Some(&(due_at, run)) = state.index.run_deadlines.first() {
        if due_at > entry.at {
            break;
        }
        state.index.run_deadlines.remove(&(due_at, run));
        if state.runs.get(&run).is_some_and(|run| run.state == RunState::Active) {
            state.stop_run(entry, run, StopCause::Canceled(CancelCause::Timeout));
            touched.insert(run);
        }
    }
    for run in touched {
        state.finish_run(entry, run);
    }
    Ok(Reply::Done)
}

fn time_out(state: &mut State, entry: &mut Entry, id: RunId, index: u32) {
    let Some(run) = state.runs.get(&id) else { return };
    let task = &run.tasks[index as usize];
    let TaskState::Running { worker, epoch, .. } = &task.state else { return };
    entry.events.push(Event::TaskCancelRequested {
        worker: worker.clone(),
        run: id,
        node: task.node.clone(),
        epoch: *epoch,
    });
    let limit = run.task_timeout.unwrap_or_default();
    let failure = Failure {
        kind: FailureKind::Timeout,
        code: Code::Timeout,
        message: format!("the attempt took longer than the {limit:?} that the run allows"),
    };
    let ending = Ending { failure: Some(failure), result: None };
    state.fail_attempt(entry, id, index, FailureKind::Timeout, ending);
}
