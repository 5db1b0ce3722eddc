//! Writes the artifacts of a call into the target folder.

use std::path::Path;

use common::diagnostic::Code;
use common::run::RunOptions;
use common::{Json, JsonMap, Manifest, Timestamp};
use dbt::artifacts::{self, Metadata, RunResults};
use dbt::parse::Fingerprint;
use serde_json::json;

use crate::project::{Call, Opened, Refused};
use crate::run::Outcomes;

/// Variables of the environment that dbt copies into artifacts.
const CUSTOM_ENV_PREFIX: &str = "DBT_ENV_CUSTOM_ENV_";

pub fn write_manifest(
    call: &Call,
    opened: &Opened,
    manifest: &Manifest,
    fingerprint: Option<&Fingerprint>,
) -> Result<(), Refused> {
    let path = call.target_path(opened).join("manifest.json");
    artifacts::write_manifest(&path, manifest, &metadata(call), fingerprint)
        .map_err(|error| cannot_write(call, &path, &error))
}

pub fn write_run_results(
    call: &Call,
    opened: &Opened,
    outcomes: &Outcomes,
    options: &RunOptions,
    elapsed_seconds: f64,
) -> Result<(), Refused> {
    let results =
        RunResults { outcomes: outcomes.told().collect(), elapsed_seconds, args: args(call, opened, options) };
    let metadata = metadata(call);
    let document = artifacts::run_results(&results, &metadata);
    write(call, &call.target_path(opened).join("run_results.json"), &document)
}

/// `sources.json`, or where `--output` says.
pub fn write_sources(
    call: &Call,
    opened: &Opened,
    manifest: &Manifest,
    outcomes: &Outcomes,
    elapsed_seconds: f64,
) -> Result<(), Refused> {
    let document = artifacts::sources(manifest, outcomes.told(), elapsed_seconds, &metadata(call));
    let path = match &call.sources_path {
        Some(path) => opened.root.join(path),
        None => call.target_path(opened).join("sources.json"),
    };
    write(call, &path, &document)
}

fn write(call: &Call, path: &Path, document: &impl serde::Serialize) -> Result<(), Refused> {
    artifacts::write(path, document).map_err(|error| cannot_write(call, path, &error))
}

fn cannot_write(call: &Call, path: &Path, error: &std::io::Error) -> Refused {
    call.refuse_with(Code::Io, &format!("cannot write {}: {error}", path.display()))
}

fn metadata(call: &Call) -> Metadata {
    let custom = call.env.iter().filter_map(|(name, value)| {
        let name = name.strip_prefix(CUSTOM_ENV_PREFIX)?;
        Some((name.to_owned(), value.clone()))
    });
    Metadata {
        generated_at: Timestamp::from_micros(chrono::Utc::now().timestamp_micros()),
        invocation_id: call.invocation_id.clone(),
        invocation_started_at: call.started_at,
        env: custom.collect(),
    }
}

/// The flags that dbt-core records and that tools and `retry` look at.
fn args(call: &Call, opened: &Opened, options: &RunOptions) -> JsonMap {
    let args = json!({
        "which": options.verb.as_str(),
        "invocation_command": std::env::args().collect::<Vec<_>>().join(" "),
        "project_dir": opened.root.display().to_string(),
        "profiles_dir": opened.profiles_dir.display().to_string(),
        "target": opened.target.name,
        "vars": options.vars,
        "full_refresh": options.full_refresh,
        "event_time_start": options.event_time.start.map(Timestamp::to_naive_iso),
        "event_time_end": options.event_time.end.map(Timestamp::to_naive_iso),
        "fail_fast": options.fail_fast,
        "store_failures": options.store_failures,
        "empty": options.empty,
        "write_json": call.global.write_json(),
        "partial_parse": call.global.partial_parse(),
        "quiet": call.global.quiet,
        "printer_width": call.global.printer_width,
    });
    match args {
        Json::Object(args) => args,
        _ => JsonMap::new(),
    }
}
