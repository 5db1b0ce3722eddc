//! `run_results.json`, version 6.

use std::collections::BTreeMap;
use std::path::Path;

use common::manifest::Exposure;
use common::microbatch::{BatchResults, Span};
use common::task::{NodeResult, NodeStatus};
use common::{Json, JsonMap, NodeId, Timestamp};
use serde::Serialize;
use serde_json::json;

use super::Metadata;

/// What became of one node.
pub struct NodeOutcome<'a> {
    pub node: &'a NodeId,
    pub result: &'a NodeResult,
}

impl NodeOutcome<'_> {
    /// What becomes of an exposure, which is never run: it is skipped where something that it shows was not built.
    pub fn of_exposure(exposure: &Exposure, mut outcomes: impl Iterator<Item = Self>) -> NodeResult {
        let is_blocked = outcomes.any(|outcome| {
            matches!(outcome.result.status, NodeStatus::Error | NodeStatus::Skipped | NodeStatus::PartialSuccess)
                && exposure.depends_on.nodes.contains(outcome.node)
        });
        match is_blocked {
            true => NodeResult::untold(NodeStatus::Skipped, None),
            false => NodeResult { failures: Some(0), ..NodeResult::untold(NodeStatus::NoOp, Some("NO-OP".to_owned())) },
        }
    }
}

/// A run as the artifact tells it.
pub struct RunResults<'a> {
    pub outcomes: Vec<NodeOutcome<'a>>,
    pub elapsed_seconds: f64,
    /// The command line, by dbt's names of the flags.
    pub args: JsonMap,
}

pub fn run_results(results: &RunResults<'_>, metadata: &Metadata) -> impl Serialize {
    json!({
        "metadata": metadata.to_json("run-results/v6"),
        "results": results.outcomes.iter().map(run_result).collect::<Vec<_>>(),
        "elapsed_time": results.elapsed_seconds,
        "args": results.args,
    })
}

/// One entry of `results`.
pub fn run_result(outcome: &NodeOutcome<'_>) -> Json {
    let result = outcome.result;
    json!({
        "status": result.status,
        "timing": timing(result),
        "thread_id": result.thread,
        "execution_time": result.execute_completed_at.since(result.compile_started_at).as_secs_f64(),
        "adapter_response": adapter_response(result),
        "message": result.message,
        "failures": result.failures,
        "unique_id": outcome.node,
        "compiled": result.compiled_code.is_some(),
        "compiled_code": result.compiled_code,
        // dbt names the relations of nodes with code of their own only.
        "relation_name": result.relation_name.as_ref().filter(|_| result.compiled_code.is_some() || result.batches.is_some()),
        "batch_results": result.batches.as_ref().map(batch_results),
    })
}

/// Batches as pairs of times, as Python writes them.
fn batch_results(results: &BatchResults) -> Json {
    let time = |at: Timestamp| format!("{}+00:00", at.to_naive_iso());
    let spans =
        |spans: Vec<Span>| spans.iter().map(|span| json!([time(span.start), time(span.end)])).collect::<Vec<_>>();
    json!({ "successful": spans(results.successful()), "failed": spans(results.failed()) })
}

/// When the node was compiled and executed; empty where it was not.
pub(super) fn timing(result: &NodeResult) -> Json {
    if result.compile_started_at == Timestamp::default() {
        return json!([]);
    }
    let step = |name: &str, started_at: Timestamp, completed_at: Timestamp| {
        let (started_at, completed_at) = (started_at.to_iso(), completed_at.to_iso());
        json!({ "name": name, "started_at": started_at, "completed_at": completed_at })
    };
    json!([
        step("compile", result.compile_started_at, result.compile_completed_at),
        step("execute", result.execute_started_at, result.execute_completed_at),
    ])
}

pub(super) fn adapter_response(result: &NodeResult) -> Json {
    let response = &result.response;
    let mut out = JsonMap::new();
    if !response.message.is_empty() {
        out.insert("_message".to_owned(), json!(response.message));
    }
    if let Some(code) = &response.code {
        out.insert("code".to_owned(), json!(code));
    }
    if let Some(rows) = response.rows_affected {
        out.insert("rows_affected".to_owned(), json!(rows));
    }
    Json::Object(out)
}

/// From the first event time that a batch of a `run_results.json` failed for to the last; none where none failed.
pub fn read_failed_batches(path: &Path) -> Option<Span> {
    let document: Json = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    let failed =
        document["results"].as_array()?.iter().filter_map(|result| result["batch_results"]["failed"].as_array());
    let time = |at: &Json| at.as_str().and_then(Timestamp::parse_iso);
    let spans = failed.flatten().filter_map(|span| Some(Span { start: time(&span[0])?, end: time(&span[1])? }));
    spans.reduce(|all, span| Span { start: all.start.min(span.start), end: all.end.max(span.end) })
}

/// The statuses that a `run_results.json` holds, by node, and the verb that wrote it; `None` where there is no such file or it is
/// none.
pub fn read_statuses(path: &Path) -> Option<(String, BTreeMap<NodeId, NodeStatus>)> {
    let document: Json = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
    let verb = document["args"]["which"].as_str().unwrap_or("run").to_owned();
    let statuses = document["results"].as_array()?.iter().filter_map(|result| {
        let id = NodeId::from(result["unique_id"].as_str()?);
        Some((id, serde_json::from_value(result["status"].clone()).ok()?))
    });
    Some((verb, statuses.collect()))
}
