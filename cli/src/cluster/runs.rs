//! `kontiki runs …`

use proto::v1::run_service_client::RunServiceClient;
use proto::v1::{
    CancelRunRequest, GetRunRequest, GetRunResponse, ListRunsRequest, RetryRunRequest, Run, RunState, Verb,
};
use serde_json::json;

use super::args;
use super::connect::Connected;
use super::follow::watch;
use super::show::{Column, Listing, Row, column, show, wide};
use super::tasks;
use super::time::{hex, moment, short, span};
use super::trace;
use crate::exit::Exit;
use crate::project::{Call, Refused};

const COLUMNS: [Column; 10] = [
    column("RUN"),
    column("PROJECT"),
    column("VERB"),
    column("TARGET"),
    column("STATE"),
    column("DONE"),
    column("SUBMITTED"),
    column("TOOK"),
    wide("SCHEDULE"),
    wide("BUNDLE"),
];
const PAGE_SIZE_MAX: u32 = 500;

pub fn runs(call: &Call, verb: &args::Runs) -> Result<Exit, Refused> {
    let cluster = Connected::new(call)?;
    match verb {
        args::Runs::List { project, limit, shown } => show(call, *shown, || {
            let runs = list(&cluster, project.as_deref().unwrap_or_default(), *limit)?;
            Ok(Listing::list(&COLUMNS, runs.iter().map(row).collect()))
        }),
        args::Runs::Get { run, shown } => show(call, *shown, || {
            let answer = get(&cluster, run)?;
            let tasks: Vec<Row> = answer.tasks.iter().map(tasks::row).collect();
            let mut row = row(&answer.run.unwrap_or_default());
            row.json["tasks"] = json!(tasks.iter().map(|task| &task.json).collect::<Vec<_>>());
            let mut listing = Listing::one(&COLUMNS, row);
            listing.below.push(Listing::list(&tasks::COLUMNS, tasks));
            Ok(listing)
        }),
        args::Runs::Watch { run } => watch(&cluster, run),
        args::Runs::Cancel { run } => {
            cancel(&cluster, run)?;
            call.console.output(&format!("run {run} is being canceled"));
            Ok(Exit::Success)
        }
        args::Runs::Retry { run, from } => {
            // Which retry is meant is told by what is known of the run, lest one that is sent again begins another.
            let known = head(&cluster, run)?.sequence;
            let (run, tasks) = retry(&cluster, run, from, known)?;
            call.console.output(&format!("run {run} goes on with {tasks} tasks"));
            Ok(Exit::Success)
        }
    }
}

/// The newest runs, at most `limit`.
pub fn list(cluster: &Connected<'_>, project: &str, limit: u32) -> Result<Vec<Run>, Refused> {
    let mut runs: Vec<Run> = Vec::new();
    let mut page_token = String::new();
    while (runs.len() as u32) < limit {
        let page_size = (limit - runs.len() as u32).min(PAGE_SIZE_MAX);
        let request = ListRunsRequest { project: project.to_owned(), page_size, page_token, ..Default::default() };
        let page = cluster.ask(|channel| {
            let request = request.clone();
            async move { RunServiceClient::new(channel).list_runs(request).await }
        })?;
        runs.extend(page.runs);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    runs.truncate(limit as usize);
    Ok(runs)
}

/// A run with all of its tasks.
pub fn get(cluster: &Connected<'_>, run: &str) -> Result<GetRunResponse, Refused> {
    let mut all = Vec::new();
    let mut page_token = String::new();
    loop {
        let request = GetRunRequest { run_id: run.to_owned(), with_tasks: true, stale: false, page_token };
        let page = cluster.ask(|channel| {
            let request = request.clone();
            async move { RunServiceClient::new(channel).get_run(request).await }
        })?;
        all.extend(page.tasks);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return Ok(GetRunResponse { run: page.run, tasks: all, next_page_token: page_token });
        }
    }
}

/// A run without its tasks.
fn head(cluster: &Connected<'_>, run: &str) -> Result<Run, Refused> {
    let request = GetRunRequest { run_id: run.to_owned(), ..GetRunRequest::default() };
    let answer = cluster.ask(|channel| {
        let request = request.clone();
        async move { RunServiceClient::new(channel).get_run(request).await }
    })?;
    Ok(answer.run.unwrap_or_default())
}

pub fn cancel(cluster: &Connected<'_>, run: &str) -> Result<(), Refused> {
    let request = CancelRunRequest { run_id: run.to_owned() };
    let call = trace::Call::begin(cluster, "kontiki.v1.RunService/CancelRun");
    cluster.ask(|channel| {
        let request = call.request(request.clone());
        async move { RunServiceClient::new(channel).cancel_run(request).await }
    })?;
    call.end(run);
    Ok(())
}

/// Which run goes on, and with how many tasks; `known` is the number of the run's last event.
pub fn retry(cluster: &Connected<'_>, run: &str, from: &[String], known: u64) -> Result<(String, u32), Refused> {
    let request = RetryRunRequest {
        run_id: run.to_owned(),
        from_nodes: from.to_vec(),
        request_id: cluster.call.invocation_id.clone(),
        after_sequence: known,
    };
    let call = trace::Call::begin(cluster, "kontiki.v1.RunService/RetryRun");
    let answer = cluster.ask(|channel| {
        let request = call.request(request.clone());
        async move { RunServiceClient::new(channel).retry_run(request).await }
    })?;
    call.end(&answer.run_id);
    Ok((answer.run_id, answer.tasks))
}

fn row(run: &Run) -> Row {
    let target = run.target.clone().unwrap_or_default();
    let counts = run.counts.unwrap_or_default();
    let done = counts.success + counts.failed + counts.upstream_failed + counts.skipped + counts.canceled;
    let (state, verb) = (state(run.state()), verb(run.verb()));
    Row {
        name: run.run_id.clone(),
        cells: vec![
            run.run_id.clone(),
            run.project.clone(),
            verb.to_owned(),
            target.name.clone(),
            state.to_owned(),
            format!("{done}/{}", counts.total),
            moment(run.submitted_at.as_ref()),
            span(run.submitted_at.as_ref(), run.finished_at.as_ref()),
            run.schedule.clone(),
            short(&run.bundle_digest),
        ],
        json: json!({
            "id": run.run_id,
            "request_id": run.request_id,
            "project": run.project,
            "bundle": hex(&run.bundle_digest),
            "verb": verb,
            "target": target.name,
            "state": state,
            "priority": run.priority,
            "submitted_at": moment(run.submitted_at.as_ref()),
            "finished_at": run.finished_at.as_ref().map(|at| moment(Some(at))),
            "trace_id": run.trace_id,
            "schedule": run.schedule,
            "scheduled_at": run.scheduled_at.as_ref().map(|at| moment(Some(at))),
            "counts": {
                "total": counts.total,
                "success": counts.success,
                "failed": counts.failed,
                "upstream_failed": counts.upstream_failed,
                "skipped": counts.skipped,
                "canceled": counts.canceled,
            },
        }),
    }
}

pub fn state(state: RunState) -> &'static str {
    match state {
        RunState::Active => "active",
        RunState::Stopping => "stopping",
        RunState::Success => "success",
        RunState::Failed => "failed",
        RunState::Canceled => "canceled",
        RunState::Unspecified => "",
    }
}

fn verb(verb: Verb) -> &'static str {
    match verb {
        Verb::Build => "build",
        Verb::Run => "run",
        Verb::Test => "test",
        Verb::Seed => "seed",
        Verb::Snapshot => "snapshot",
        Verb::Compile => "compile",
        Verb::Freshness => "freshness",
        Verb::Unspecified => "",
    }
}
