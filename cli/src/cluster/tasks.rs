//! `kontiki task …`

use common::Diagnostic;
use common::diagnostic::Code;
use proto::v1::run_service_client::RunServiceClient;
use proto::v1::{
    GetTaskRequest, LogLevel, LogLine, ReadTranscriptsRequest, ReadTranscriptsResponse, Task, TaskState, Transcript,
    get_task_response,
};
use serde_json::{Value as Json, json};

use super::args;
use super::connect::Connected;
use super::runs;
use super::show::{Column, Listing, Row, column, show, wide};
use super::time::{instant, moment, span};
use super::transcripts;
use super::yaml::yaml;
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
        args::Task::Logs { run, node, attempt, output } => {
            logs(&cluster, run, node.as_deref(), *attempt, *output).map(|()| Exit::Success)
        }
    }
}

/// Prints the logs of attempts that have ended.
fn logs(
    cluster: &Connected<'_>,
    run: &str,
    node: Option<&str>,
    attempt: Option<u32>,
    output: args::LogOutput,
) -> Result<(), Refused> {
    let node_ids = node.into_iter().map(str::to_owned).collect();
    let request = ReadTranscriptsRequest { run_id: run.to_owned(), node_ids, last_only: false };
    let mut told = transcripts::read(cluster, &request).map_err(|status| cluster.refuse(&status))?;
    told.retain(|told| attempt.is_none_or(|attempt| told.attempt == attempt));
    if told.is_empty() {
        let attempt = attempt.map(|attempt| format!("attempt {attempt} at ")).unwrap_or_default();
        let node = node.map(|node| format!("{attempt}{node} in ")).unwrap_or_default();
        let message = format!("there is no log of {node}run {run}");
        let hint = "an attempt leaves its log when it ends; one that was lost with its worker leaves none";
        return Err(cluster.call.refuse(Diagnostic::error(Code::ClusterNotFound, message).hint(hint)));
    }
    let text = match output {
        args::LogOutput::Text => told.iter().map(log_text).collect::<Vec<_>>().join("\n\n"),
        args::LogOutput::Json => serde_json::to_string_pretty(&log_json(&told)).unwrap_or_default(),
        args::LogOutput::Yaml => yaml(&log_json(&told)),
    };
    cluster.call.console.output(&text);
    Ok(())
}

fn log_text(told: &ReadTranscriptsResponse) -> String {
    let mut text = format!("{}, attempt {}", told.node_id, told.attempt);
    for line in told.transcript.iter().flat_map(|transcript| &transcript.log) {
        let (at, level) = (instant(line.at.as_ref()), level(line.level()));
        text.push_str(&format!("\n{at} {level:<5} {}", line.message));
    }
    text
}

fn log_json(told: &[ReadTranscriptsResponse]) -> Json {
    let attempts = told.iter().map(|told| {
        let lines = told.transcript.as_ref().map(lines).unwrap_or_default();
        json!({ "node": told.node_id, "attempt": told.attempt, "log": lines })
    });
    attempts.collect()
}

fn lines(transcript: &Transcript) -> Vec<Json> {
    let line = |line: &LogLine| json!({ "at": instant(line.at.as_ref()), "level": level(line.level()), "message": line.message });
    transcript.log.iter().map(line).collect()
}

fn level(level: LogLevel) -> &'static str {
    match level {
        LogLevel::Debug => "debug",
        LogLevel::Info | LogLevel::Unspecified => "info",
        LogLevel::Warn => "warn",
        LogLevel::Error => "error",
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
            "compiled_code": attempt.transcript.as_ref().and_then(|transcript| transcript.compiled_code.clone()),
            "run_code": attempt.transcript.as_ref().and_then(|transcript| transcript.run_code.clone()),
            "log": attempt.transcript.as_ref().map(lines),
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
