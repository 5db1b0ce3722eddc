//! `kontiki retry`: finishes the last run. What succeeded stays as it is.
//!
//! The state of this machine knows the last run even where a crash kept it from writing its results; it goes on with that run. With
//! `--state`, or where there is no such state, the failed and skipped nodes of a `run_results.json` begin a new run, as dbt does.

use std::path::Path;

use common::diagnostic::Code;
use common::microbatch::{EventTime, Span};
use common::run::Verb;
use common::task::{NodeStatus, TaskState};
use common::{Diagnostic, NodeId};
use scheduler::local::RunView;

use super::{Ready, destination, ready};
use crate::args::Retry;
use crate::cluster;
use crate::console::Event;
use crate::exit::Exit;
use crate::project::{Call, Refused};
use crate::run::{self, Request, Resume};

pub fn retry(call: &Call, retry: &Retry) -> Result<Exit, Refused> {
    if let Some(cluster) = destination(call)? {
        let given = [("--state", retry.state.is_some()), ("--full-refresh", retry.full_refresh)];
        let refused =
            |(flag, _)| Diagnostic::error(Code::Unsupported, format!("{flag} on a cluster: not supported yet"));
        let findings: Vec<Diagnostic> = given.into_iter().filter(|(_, is_given)| *is_given).map(refused).collect();
        call.report(&findings)?;
        let ready = ready(call)?;
        return cluster::retry(call, &cluster, &ready);
    }
    let ready = ready(call)?;
    let last = match &retry.state {
        Some(_) => None,
        None => run::last_run(call, &ready.opened)?,
    };
    let request = match last {
        Some(last) if resumable(&ready, &last) => resume(&last, retry.full_refresh),
        _ => {
            let folder = retry.state.clone().unwrap_or_else(|| call.target_path(&ready.opened));
            from_results(call, &ready, &ready.opened.root.join(folder), retry.full_refresh)?
        }
    };
    if request.selected.is_empty() {
        call.console.emit(&Event::NothingToDo);
        return Ok(Exit::Success);
    }
    run::run(call, &ready.opened, &ready.manifest, &ready.graph, request, None)
}

/// A run can go on while the project still has all of its nodes.
fn resumable(ready: &Ready, last: &RunView) -> bool {
    !matches!(last.options.verb, Verb::Compile | Verb::Show)
        && last.tasks.iter().all(|task| ready.manifest.nodes.contains_key(&task.node))
}

fn resume(last: &RunView, full_refresh: bool) -> Request {
    let selected =
        last.tasks.iter().filter(|task| task.state != TaskState::Success).map(|task| task.node.clone()).collect();
    let mut options = last.options.clone();
    options.full_refresh |= full_refresh;
    Request { options, selected, resume: Some(Resume { run: last.id }) }
}

fn from_results(call: &Call, ready: &Ready, folder: &Path, full_refresh: bool) -> Result<Request, Refused> {
    let path = folder.join("run_results.json");
    let Some((verb, statuses)) = dbt::artifacts::read_statuses(&path) else {
        let message = format!("there is no run to retry: {} cannot be read", path.display());
        return Err(call.refuse(Diagnostic::error(Code::NothingToRetry, message).hint("run 'kontiki build' first")));
    };
    let Some(verb) = verb_named(&verb) else {
        let message = format!("the last run was '{verb}', which cannot be retried");
        return Err(call.refuse(Diagnostic::error(Code::NothingToRetry, message)));
    };
    let failed = |status: &NodeStatus| {
        matches!(status, NodeStatus::Error | NodeStatus::Fail | NodeStatus::Skipped | NodeStatus::PartialSuccess)
    };
    let selected: Vec<NodeId> = statuses
        .into_iter()
        .filter(|(id, status)| {
            failed(status) && ready.manifest.nodes.contains_key(id) && id.resource_type() != "operation"
        })
        .map(|(id, _)| id)
        .collect();
    let mut options = run::options(verb, call, full_refresh, false, false);
    // Another run does not know which batches were published: those between the first and the last that failed are built again.
    if let Some(Span { start, end }) = dbt::artifacts::read_failed_batches(&path) {
        options.event_time = EventTime { start: Some(start), end: Some(end) };
    }
    Ok(Request { options, selected, resume: None })
}

fn verb_named(name: &str) -> Option<Verb> {
    [Verb::Build, Verb::Run, Verb::Test, Verb::Seed, Verb::Snapshot, Verb::Compile]
        .into_iter()
        .find(|verb| verb.as_str() == name)
}
