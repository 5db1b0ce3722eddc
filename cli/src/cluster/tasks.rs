//! `kontiki task …`

use proto::v1::run_service_client::RunServiceClient;
use proto::v1::{GetTaskRequest, Task, TaskState, get_task_response};
use serde_json::json;

use super::args;
use super::connect::Connected;
use super::runs;
use super::show::{Column, Listing, Row, column, show, wide};
use super::time::{moment, span};
use crate::exit::Exit;
use crate::project::{Call, Refused};

pub const COLUMNS: [Column; 6] =
    [column("NODE"), column("STATE"), column("ATTEMPT"), column("WORKER"), column("MESSAGE"), wide("EPOCH")];
const ATTEMPTS: [Column; 6] =
    [column("ATTEMPT"), column("WORKER"), column("STARTED"), column("TOOK"), column("FAILURE"), wide("EPOCH")];

pub fn tasks(call: &Call, verb: &args::Task) -> Result<Exit, Refused> {
    let cluster = Connected::new(call)?;
    match verb {
        args::Task::List { run, shown } => show(call, *shown, || {
            let tasks = runs::get(&cluster, run)?.tasks;
            Ok(Listing::list(&COLUMNS, tasks.iter().map(row).collect()))
        }),
        args::Task::Get { run, node, shown } => show(call, *shown, || {
            let request = GetTaskRequest { run_id: run.clone(), node_id: node.clone() };
            let answer = cluster.ask(|channel| {
                let request = request.clone();
                async move { RunServiceClient::new(channel).get_task(request).await }
            })?;
            let attempts: Vec<Row> = answer.attempts.iter().map(attempt).collect();
            let mut row = row(&answer.task.unwrap_or_default());
            row.json["attempts"] = json!(attempts.iter().map(|attempt| &attempt.json).collect::<Vec<_>>());
            row.json["compiled_code"] = json!(answer.compiled_code);
            let mut listing = Listing::one(&COLUMNS, row);
            listing.below.push(Listing::list(&ATTEMPTS, attempts));
            Ok(listing)
        }),
    }
}

pub fn row(task: &Task) -> Row {
    let state = state(task.state());
    let told = task.result.as_ref().and_then(|result| result.message.clone());
    let message = task.failure.as_ref().map(|failure| failure.message.clone()).or(told).unwrap_or_default();
    let attempt = if task.attempt > 0 { task.attempt.to_string() } else { String::new() };
    let epoch = if task.epoch > 0 { task.epoch.to_string() } else { String::new() };
    Row {
        name: task.node_id.clone(),
        cells: vec![
            task.node_id.clone(),
            state.to_owned(),
            attempt,
            task.worker.clone(),
            message.lines().next().unwrap_or_default().to_owned(),
            epoch,
        ],
        json: json!({
            "node": task.node_id,
            "state": state,
            "attempt": task.attempt,
            "epoch": task.epoch,
            "worker": task.worker,
            "message": message,
            "failure_code": task.failure.as_ref().map(|failure| failure.code.clone()),
        }),
    }
}

fn attempt(attempt: &get_task_response::Attempt) -> Row {
    let failure = attempt.failure.as_ref().map(|failure| format!("{} {}", failure.code, failure.message));
    let failure = failure.unwrap_or_default();
    Row {
        name: attempt.attempt.to_string(),
        cells: vec![
            attempt.attempt.to_string(),
            attempt.worker.clone(),
            moment(attempt.started_at.as_ref()),
            span(attempt.started_at.as_ref(), attempt.ended_at.as_ref()),
            failure.lines().next().unwrap_or_default().to_owned(),
            attempt.epoch.to_string(),
        ],
        json: json!({
            "attempt": attempt.attempt,
            "worker": attempt.worker,
            "epoch": attempt.epoch,
            "started_at": moment(attempt.started_at.as_ref()),
            "ended_at": attempt.ended_at.as_ref().map(|at| moment(Some(at))),
            "failure": failure,
            "log": attempt.log,
        }),
    }
}

pub fn state(state: TaskState) -> &'static str {
    match state {
        TaskState::Pending => "pending",
        TaskState::Ready => "ready",
        TaskState::Running => "running",
        TaskState::UpForRetry => "up for retry",
        TaskState::Success => "success",
        TaskState::Failed => "failed",
        TaskState::UpstreamFailed => "upstream failed",
        TaskState::Skipped => "skipped",
        TaskState::Canceled => "canceled",
        TaskState::Unspecified => "",
    }
}
