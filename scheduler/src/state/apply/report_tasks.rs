//! Attempts ended. A report counts only under the live epoch of its task; everything else changes nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use common::RunId;
use common::diagnostic::Code;
use common::task::{FailureKind, TaskOutcome, TaskReport, TaskState};

use crate::state::planted::Bug;
use crate::state::task::Packed;
use crate::state::{Ending, Entry, Failure, Rejection, Reply, State, Step, Verdict};

pub(super) fn apply(state: &mut State, entry: &mut Entry, reports: Vec<TaskReport>) -> Result<Reply, Rejection> {
    let mut touched = BTreeSet::new();
    let verdicts = reports.into_iter().map(|report| accept(state, entry, report, &mut touched)).collect();
    for run in touched {
        state.finish_run(entry, run);
    }
    Ok(Reply::Reported(verdicts))
}

fn accept(state: &mut State, entry: &mut Entry, report: TaskReport, touched: &mut BTreeSet<RunId>) -> Verdict {
    let Some(index) = find_live(state, &report) else { return Verdict::Stale };
    touched.insert(report.run);
    let (run, result) = (report.run, Some(report.result));
    match report.outcome {
        TaskOutcome::Success => {
            let ending = Ending { failure: None, result };
            if let Some(task) = state.runs.get_mut(&run).and_then(|run| run.tasks.get_mut(index as usize)) {
                task.ending = Some(Packed::new(&ending));
            }
            state.finish_task(entry, run, index, Step::Succeeded, Some(Arc::new(ending)));
        }
        TaskOutcome::Failure { kind, code, message } => {
            let ending = Ending { failure: Some(Failure { kind, code, message }), result };
            state.fail_attempt(entry, run, index, kind, ending);
        }
        TaskOutcome::Canceled => {
            let kind = FailureKind::Canceled;
            let failure = Failure { kind, code: Code::Canceled, message: "the attempt was canceled".to_owned() };
            state.fail_attempt(entry, run, index, kind, Ending { failure: Some(failure), result });
        }
    }
    Verdict::Accepted
}

/// The task whose live attempt the report tells of.
fn find_live(state: &mut State, report: &TaskReport) -> Option<u32> {
    let run = state.runs.get(&report.run)?;
    let index = run.find(&report.node)?;
    match &run.tasks[index as usize].state {
        TaskState::Running { epoch, attempt, .. } => {
            let live = *epoch == report.epoch && *attempt == report.attempt;
            (live || state.has(Bug::StaleEpochAccepted)).then_some(index)
        }
        TaskState::Success if state.has(Bug::ReportAppliedTwice) => {
            state.wake_downstreams(report.run, index);
            None
        }
        _ => None,
    }
}
