//! Runs as OpenLineage knows them: told by the leader when they begin and when they end.

use common::Timestamp;
use common::lineage::{self, Event as Told, Moment};

use crate::state::{Event, RunOutcome, State};

/// Tells of the event where it is one of these. `state` is as of then, `at` when it became true.
pub fn tell(state: &State, at: Timestamp, event: &Event) {
    if !lineage::is_on() {
        return;
    }
    let (id, moment) = match event {
        Event::RunSubmitted { run } | Event::RunRetried { run, .. } => (run, Moment::Start),
        Event::RunFinished { run, outcome, .. } => (
            run,
            match outcome {
                RunOutcome::Success => Moment::Complete,
                RunOutcome::Failed => Moment::Fail,
                RunOutcome::Canceled(_) => Moment::Abort,
            },
        ),
        _ => return,
    };
    let Some(run) = state.run(id) else { return };
    // `model.<package>.<name>`: on a laptop, the package of the run's first node stands for its project.
    let package = || run.tasks().first().and_then(|task| task.node.as_str().split('.').nth(1));
    let project = run.deployed.as_ref().map(|deployed| deployed.project.as_str()).or_else(package);
    let mut told = Told::of_run(moment, at, *id, project.unwrap_or_default(), run.options.verb.as_str());
    if let Some(origin) = state.origin(id) {
        told = told.nominal(origin.scheduled_at);
    }
    told.record();
}
