//! `on-run-start` and `on-run-end`: SQL of the project around a run, in the order in which it is written.

use std::time::Instant;

use common::manifest::Node;
use common::table::Response;
use common::task::{NodeResult, NodeStatus};
use common::{JsonMap, Manifest, Timestamp};
use dbt::hooks::When;
use serde_json::json;
use worker::Run;
use worker::adapter::Adapter;

use super::outcome::Outcomes;
use crate::console::{Console, Event, NodeKind, NodeLine};

/// The line of a hook, counted among those of its end.
pub fn line(manifest: &Manifest, node: &Node) -> Option<NodeLine> {
    let hooks = dbt::hooks::of(manifest, When::of(node)?);
    let index = hooks.iter().position(|hook| hook.unique_id == node.unique_id)?;
    Some(numbered(node, (index, hooks.len())))
}

fn numbered(node: &Node, (index, total): (usize, usize)) -> NodeLine {
    let description = format!("hook: {}", dbt::hooks::statement(node));
    NodeLine {
        skip_description: description.clone(),
        description,
        index: index + 1,
        total,
        kind: NodeKind::Hook,
        info: json!({ "resource_type": "operation", "unique_id": node.unique_id.as_str(), "node_name": node.name }),
    }
}

/// Runs them one after the other; the first that fails ends it. Tells whether all succeeded.
pub fn run(
    when: When,
    manifest: &Manifest,
    run: &Run,
    adapter: &Adapter,
    console: &Console,
    outcomes: &mut Outcomes,
) -> bool {
    let hooks = dbt::hooks::of(manifest, when);
    if hooks.is_empty() {
        return true;
    }
    let total = hooks.len();
    let names = if when == When::End { dbt::hooks::names_at_end(manifest, outcomes.told()) } else { JsonMap::new() };
    let mut all_succeeded = true;
    for (index, node) in hooks.into_iter().enumerate() {
        let line = numbered(node, (index, total));
        if !all_succeeded {
            console.emit(&Event::Skipped(line));
            outcomes.push(node.unique_id.clone(), result(NodeStatus::Skipped, None, Response::default(), now(), now()));
            continue;
        }
        console.emit(&Event::Started(line.clone()));
        let began = Instant::now();
        let started_at = now();
        let mut code = None;
        let (status, message, ran) = match worker::execute::operation(run, &node.unique_id, adapter, &names) {
            Ok(ran) => (NodeStatus::Success, format!("{} passed", dbt::hooks::statement(node)), Some(ran)),
            Err(failure) => {
                code = Some(failure.code);
                (NodeStatus::Error, failure.describe(node), None)
            }
        };
        all_succeeded = ran.is_some();
        console.emit(&Event::Finished {
            node: line,
            status,
            message: message.clone(),
            failures: None,
            seconds: began.elapsed().as_secs_f64(),
        });
        let (compiled_code, response) = ran.unzip();
        let response = response.flatten().unwrap_or_default();
        let mut result = result(status, Some(message), response, started_at, now());
        // As dbt counts them.
        result.failures = Some(i64::from(!all_succeeded));
        result.compiled_code = compiled_code;
        match code {
            Some(code) => outcomes.push_failed(node.unique_id.clone(), result, code),
            None => outcomes.push(node.unique_id.clone(), result),
        }
    }
    console.emit(&Event::Blank);
    all_succeeded
}

fn result(
    status: NodeStatus,
    message: Option<String>,
    response: Response,
    started_at: Timestamp,
    completed_at: Timestamp,
) -> NodeResult {
    NodeResult {
        status,
        thread: "main".to_owned(),
        compile_started_at: started_at,
        compile_completed_at: started_at,
        execute_started_at: started_at,
        execute_completed_at: completed_at,
        message,
        failures: None,
        response,
        relation_name: None,
        compiled_code: None,
        batches: None,
    }
}

fn now() -> Timestamp {
    Timestamp::from_micros(chrono::Utc::now().timestamp_micros())
}
