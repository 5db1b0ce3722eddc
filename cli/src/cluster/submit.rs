//! dbt's verbs on a cluster: the project is deployed, the run submitted, and followed as on this machine.

use common::diagnostic::Code;
use common::target::AdapterType;
use common::{Diagnostic, Json};
use proto::description;
use proto::scalar::{duration, of_json};
use proto::v1::run_service_client::RunServiceClient;
use proto::v1::{RetryPolicy, RunState, SubmitRunRequest, SubmitRunResponse, TaskState};

use super::args;
use super::connect::Connected;
use super::context::Context;
use super::deploy::{Deployed, deploy};
use super::{runs, trace};
use crate::args::{IndirectSelection, Selection};
use crate::exit::Exit;
use crate::project::{Call, Refused};
use crate::run::{self, Accepted, Request};
use crate::verbs::{self, Ready};

/// Runs among which the one to be retried is looked for.
const NEWEST_MAX: u32 = 100;

/// Runs the selected nodes on a cluster, printing as on this machine.
pub fn submit(
    call: &Call,
    cluster: &Context,
    ready: &Ready,
    request: &Request,
    asked: (&Selection, &args::Submit),
) -> Result<Exit, Refused> {
    let (selection, submit) = asked;
    refuse_memory(call, ready)?;
    let cluster = Connected::to(call, cluster)?;
    let accept = || {
        let deployed = deploy(&cluster, &ready.opened, "")?;
        let request = wire(call, ready, request, &deployed, (selection, submit));
        let accepted = accept(&cluster, request)?;
        Ok(Accepted { run: accepted.run_id, tasks: accepted.tasks as usize, after: 0 })
    };
    if submit.detach {
        let accepted = accept()?;
        call.console.output(&accepted.run);
        return Ok(Exit::Success);
    }
    run::on_cluster(&cluster, &ready.opened, &ready.manifest, request, accept)
}

/// `kontiki retry` on a cluster: goes on with the project's newest run.
pub fn retry(call: &Call, cluster: &Context, ready: &Ready) -> Result<Exit, Refused> {
    let cluster = Connected::to(call, cluster)?;
    // A look at sources leaves nothing to go on with.
    let is_build = |run: &proto::v1::Run| run.verb() != proto::v1::Verb::Freshness;
    let newest = runs::list(&cluster, &ready.manifest.project_name, NEWEST_MAX)?.into_iter().find(is_build);
    let Some(newest) = newest.filter(|run| matches!(run.state(), RunState::Failed | RunState::Canceled)) else {
        let message = "the project's newest run on the cluster did not fail, so there is nothing to retry";
        return Err(call.refuse(Diagnostic::error(Code::NothingToRetry, message)));
    };
    let verb = description::to_verb(newest.verb()).map_err(|error| call.refuse_with(Code::Internal, &error))?;
    let known = runs::get(&cluster, &newest.run_id)?.tasks;
    let left = known.into_iter().filter(|task| task.state() != TaskState::Success);
    let request = Request {
        options: run::options(verb, call, newest.full_refresh, false, false),
        selected: left.map(|task| task.node_id.into()).collect(),
        resume: None,
    };
    let accept = || {
        let (run, tasks) = runs::retry(&cluster, &newest.run_id, &[], newest.sequence)?;
        Ok(Accepted { run, tasks: tasks as usize, after: newest.sequence })
    };
    run::on_cluster(&cluster, &ready.opened, &ready.manifest, &request, accept)
}

fn accept(cluster: &Connected<'_>, request: SubmitRunRequest) -> Result<SubmitRunResponse, Refused> {
    let call = trace::Call::begin(cluster, "kontiki.v1.RunService/SubmitRun");
    let accepted = cluster.ask(|channel| {
        let request = call.request(request.clone());
        async move { RunServiceClient::new(channel).submit_run(request).await }
    })?;
    call.end(&accepted.run_id);
    Ok(accepted)
}

fn wire(
    call: &Call,
    ready: &Ready,
    request: &Request,
    deployed: &Deployed,
    (selection, submit): (&Selection, &args::Submit),
) -> SubmitRunRequest {
    let options = &request.options;
    let results = verbs::earlier_results(&ready.opened, selection).unwrap_or_default();
    SubmitRunRequest {
        // The same call never begins two runs, however often it has to ask.
        request_id: call.invocation_id.clone(),
        project: ready.manifest.project_name.clone(),
        bundle_digest: deployed.bundle.0.to_vec().into(),
        verb: description::verb(options.verb).into(),
        select: selection.select.clone(),
        exclude: selection.exclude.clone(),
        target: Some(description::target(&ready.opened.target)),
        vars: Some(of_json(&options.vars)),
        full_refresh: options.full_refresh,
        fail_fast: options.fail_fast,
        store_failures: options.store_failures,
        empty: options.empty,
        event_time: proto::microbatch::event_time(options.event_time),
        indirect_selection: indirect(selection.indirect_selection).to_owned(),
        priority: submit.priority,
        timeout: submit.run_timeout.map(duration),
        task_timeout: submit.task_timeout.map(duration),
        // When to try again, and after what, the cluster knows as this machine does.
        retry: Some(RetryPolicy {
            attempts_max: run::retry_policy(&ready.opened.connection).attempts_max,
            ..RetryPolicy::default()
        }),
        worker_labels: submit.worker_label.iter().cloned().collect(),
        selector: selection.selector.clone().unwrap_or_default(),
        resource_types: selection.resource_type.clone(),
        exclude_resource_types: selection.exclude_resource_type.clone(),
        results: results.into_iter().map(|(node, status)| (node.to_string(), status)).collect(),
    }
}

fn indirect(selection: IndirectSelection) -> &'static str {
    match selection {
        IndirectSelection::Eager => "eager",
        IndirectSelection::Cautious => "cautious",
        IndirectSelection::Buildable => "buildable",
        IndirectSelection::Empty => "empty",
    }
}

/// A database in memory ends with the worker that has it. The profile says so; the cluster, which has no profile, cannot tell.
fn refuse_memory(call: &Call, ready: &Ready) -> Result<(), Refused> {
    let opened = &ready.opened;
    let path = opened.connection.get("path").and_then(Json::as_str).unwrap_or(":memory:");
    if opened.target.adapter_type != AdapterType::Duckdb || path != ":memory:" {
        return Ok(());
    }
    let message = "a DuckDB database in memory cannot be built on a cluster: nobody would see it";
    Err(call.refuse(
        Diagnostic::error(Code::OneWriter, message).hint("name a file in the profile, or a server such as PostgreSQL"),
    ))
}
