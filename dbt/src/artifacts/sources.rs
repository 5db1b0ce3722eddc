//! `sources.json`, version 3: how old sources are.

use common::freshness::{Age, Thresholds};
use common::manifest::Source;
use common::task::NodeStatus;
use common::{Json, Manifest, Timestamp};
use serde_json::json;

use super::run_results::{adapter_response, timing};
use super::{Metadata, NodeOutcome};

/// As dbt writes it: sources that could not be looked at are left out.
pub fn sources<'a>(
    manifest: &Manifest,
    outcomes: impl Iterator<Item = NodeOutcome<'a>>,
    elapsed_seconds: f64,
    metadata: &Metadata,
) -> Json {
    let results = outcomes.filter_map(|outcome| {
        let source = manifest.sources.get(outcome.node)?;
        result(source, &outcome)
    });
    json!({
        "metadata": metadata.to_json("sources/v3"),
        "results": results.collect::<Vec<_>>(),
        "elapsed_time": elapsed_seconds,
    })
}

fn result(source: &Source, outcome: &NodeOutcome<'_>) -> Option<Json> {
    let result = outcome.result;
    let status = match result.status {
        NodeStatus::Pass => "pass",
        NodeStatus::Warn => "warn",
        NodeStatus::Fail => "error",
        _ => return None,
    };
    let age: Age = result.message.as_deref()?.parse().ok()?;
    let filter = Thresholds::of(source).and_then(|thresholds| thresholds.filter);
    let criterion = |name: &str| source.freshness.as_ref().map(|freshness| freshness[name].clone()).unwrap_or_default();
    Some(json!({
        "unique_id": source.unique_id,
        "max_loaded_at": zoned(age.loaded_at.unwrap_or(Age::NEVER)),
        "snapshotted_at": zoned(age.seen_at),
        "max_loaded_at_time_ago_in_s": age.seconds(),
        "status": status,
        "criteria": {
            "warn_after": criterion("warn_after"),
            "error_after": criterion("error_after"),
            "filter": filter,
        },
        "adapter_response": adapter_response(result),
        "timing": timing(result),
        "thread_id": result.thread,
        "execution_time": result.execute_completed_at.since(result.compile_started_at).as_secs_f64(),
    }))
}

/// As Python writes a time with an offset: without a fraction where there is none.
fn zoned(at: Timestamp) -> String {
    let text = at.to_iso();
    let text = text.trim_end_matches('Z');
    format!("{}+00:00", text.strip_suffix(".000000").unwrap_or(text))
}
