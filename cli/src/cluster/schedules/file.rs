//! Schedules as a file declares them: YAML with the field's words, or those that Kubernetes has for the same.

use std::path::Path;
use std::time::Duration;

use common::run::Verb;
use common::schedule::Calendar;
use dbt::yaml::{Fields, Value};
use proto::description;
use proto::scalar::{duration, of_json};
use proto::v1::{CatchUp, CatchUpPolicy, Overlap, RetryPolicy, Schedule, SourceGate, SubmitRunRequest};

use super::super::declared::{self, either, integer, invalid, length, one_of, place, texts};
use super::moments;
use crate::project::{Call, Opened, Refused};
use crate::run;

const VERBS: [Verb; 6] = [Verb::Build, Verb::Run, Verb::Test, Verb::Seed, Verb::Snapshot, Verb::Freshness];

/// Every schedule of the file, or all that is wrong with it.
pub fn read(call: &Call, opened: &Opened, path: &Path) -> Result<Vec<Schedule>, Refused> {
    declared::read(call, opened, path, ("schedules", "schedule"), |fields| {
        schedule(call, opened, fields).map(|schedule| (schedule.name.clone(), schedule))
    })
}

fn schedule(call: &Call, opened: &Opened, mut fields: Fields<'_>) -> Option<Schedule> {
    let (name, _) = fields.name()?;
    let cron = cron(&mut fields);
    let time_zone = either(&mut fields, "time_zone", "timeZone").unwrap_or_default();
    let start_at = moment(&mut fields, "start", &time_zone);
    let end_at = moment(&mut fields, "end", &time_zone);
    let schedule = Schedule {
        name,
        cron: cron.unwrap_or_default(),
        start_at,
        end_at,
        jitter: length(&mut fields, "jitter").map(duration),
        overlap: overlap(&mut fields).into(),
        catch_up: catch_up(&mut fields),
        deadline: length(&mut fields, "deadline").map(duration),
        wait_for_sources: gate(&mut fields),
        paused: fields.bool("paused").or_else(|| fields.bool("suspend")),
        run: Some(run_of(call, opened, &mut fields)?),
        time_zone,
    };
    fields.refuse();
    Some(schedule)
}

/// A cron expression, or the schedules that this one follows.
fn cron(fields: &mut Fields<'_>) -> Option<String> {
    let after = place(fields, "after");
    let followed = texts(fields, "after");
    let cron = either(fields, "cron", "schedule");
    match (cron, followed.is_empty()) {
        (None, false) => Some(format!("{} {}", Calendar::AFTER, followed.join(", "))),
        (Some(_), false) => {
            fields.report(invalid(format!("{} has both 'cron' and 'after'", fields.what())), after);
            None
        }
        (None, true) => {
            let span = fields.span();
            fields.report(invalid(format!("{} has neither 'cron' nor 'after'", fields.what())), span);
            None
        }
        (cron, true) => cron,
    }
}

/// Criteria, or `select` and `every`.
fn gate(fields: &mut Fields<'_>) -> Option<SourceGate> {
    let node = fields.peek("wait_for_sources")?;
    let span = node.span;
    if !matches!(node.value, Value::Mapping(_)) {
        return Some(SourceGate { select: texts(fields, "wait_for_sources"), every: None });
    }
    let mapping = fields.mapping("wait_for_sources");
    let what = format!("'wait_for_sources' of {}", fields.what());
    let mut inner = fields.inner(mapping, span, what);
    let gate = SourceGate { select: texts(&mut inner, "select"), every: length(&mut inner, "every").map(duration) };
    inner.refuse();
    Some(gate)
}

fn run_of(call: &Call, opened: &Opened, fields: &mut Fields<'_>) -> Option<SubmitRunRequest> {
    let project = &opened.project.name;
    let span = place(fields, "project");
    if let Some(named) = fields.text("project").filter(|named| named != project) {
        fields.report(invalid(format!("this is project '{project}', not '{named}'")), span);
    }
    let verb = one_of(fields, "verb", &VERBS.map(|verb| (verb.as_str(), verb))).unwrap_or(Verb::Build);
    let span = place(fields, "target");
    let named = fields.text("target").filter(|named| *named != opened.target.name);
    let target = match named.map(|named| call.other_target(&named)) {
        None => opened.target.clone(),
        Some(Ok(target)) => target,
        Some(Err(findings)) => {
            findings.into_iter().for_each(|finding| fields.report(finding, span));
            return None;
        }
    };
    let span = place(fields, "vars");
    let vars = fields.mapping("vars");
    let attempts_max = match integer::<u32>(fields, "retries") {
        Some(retries) => retries.saturating_add(1),
        None => run::retry_policy(&opened.connection).attempts_max,
    };
    let mut labels = std::collections::HashMap::new();
    for (name, entry) in fields.mapping("worker_labels") {
        match entry.value.as_str() {
            Some(value) => drop(labels.insert(name, value.to_owned())),
            None => fields.error(entry.key_span, format!("the worker label '{name}' must be text")),
        }
    }
    let bundle = revision(fields)?;
    let vars = vars.to_json();
    if vars.keys().any(String::is_empty) {
        fields.error(span, "a variable has no name".to_owned());
    }
    Some(SubmitRunRequest {
        project: project.clone(),
        bundle_digest: bundle.into(),
        verb: description::verb(verb).into(),
        select: texts(fields, "select"),
        exclude: texts(fields, "exclude"),
        selector: fields.text("selector").unwrap_or_default(),
        resource_types: texts(fields, "resource_types"),
        exclude_resource_types: texts(fields, "exclude_resource_types"),
        indirect_selection: fields.text("indirect_selection").unwrap_or_default(),
        target: Some(description::target(&target)),
        vars: Some(of_json(&vars)),
        full_refresh: fields.bool("full_refresh").unwrap_or_default(),
        fail_fast: fields.bool("fail_fast").unwrap_or_default(),
        store_failures: fields.bool("store_failures").unwrap_or_default(),
        priority: integer(fields, "priority").unwrap_or_default(),
        timeout: length(fields, "timeout").map(duration),
        task_timeout: length(fields, "task_timeout").map(duration),
        retry: Some(RetryPolicy { attempts_max, ..RetryPolicy::default() }),
        worker_labels: labels,
        ..SubmitRunRequest::default()
    })
}

/// `latest`, or a bundle's digest.
fn revision(fields: &mut Fields<'_>) -> Option<Vec<u8>> {
    let span = place(fields, "revision");
    let text = fields.text("revision").filter(|text| text != "latest").unwrap_or_default();
    let byte = |at: usize| text.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = (0..text.len()).step_by(2).map(byte).collect();
    let bytes = bytes.filter(|bytes| bytes.is_empty() || bytes.len() == 32);
    if bytes.is_none() {
        fields.report(invalid(format!("'{text}' is neither 'latest' nor the 64 digits of a bundle")), span);
    }
    bytes
}

fn overlap(fields: &mut Fields<'_>) -> Overlap {
    let words = [
        ("skip", Overlap::Skip),
        ("buffer_one", Overlap::BufferOne),
        ("allow_all", Overlap::AllowAll),
        ("cancel_other", Overlap::CancelOther),
        ("Forbid", Overlap::Skip),
        ("Allow", Overlap::AllowAll),
        ("Replace", Overlap::CancelOther),
    ];
    let named = one_of(fields, "overlap", &words).or_else(|| one_of(fields, "concurrencyPolicy", &words));
    named.unwrap_or(Overlap::Skip)
}

fn catch_up(fields: &mut Fields<'_>) -> Option<CatchUp> {
    let window = integer::<u64>(fields, "startingDeadlineSeconds").map(Duration::from_secs);
    let span = place(fields, "catch_up");
    let mapping = fields.mapping("catch_up");
    if mapping.is_empty() {
        return window.map(|window| CatchUp { window: Some(duration(window)), ..CatchUp::default() });
    }
    let what = format!("'catch_up' of {}", fields.what());
    let mut inner = fields.inner(mapping, span, what);
    let policies = [("all", CatchUpPolicy::All), ("latest", CatchUpPolicy::Latest), ("none", CatchUpPolicy::None)];
    let catch_up = CatchUp {
        window: length(&mut inner, "window").or(window).map(duration),
        policy: one_of(&mut inner, "policy", &policies).unwrap_or(CatchUpPolicy::Latest).into(),
        ticks_max: integer(&mut inner, "max").unwrap_or_default(),
    };
    inner.refuse();
    Some(catch_up)
}

fn moment(fields: &mut Fields<'_>, key: &'static str, zone: &str) -> Option<prost_types::Timestamp> {
    let node = fields.node(key)?;
    // An unquoted date is a date to YAML.
    let text = node.as_str().map_or_else(|| node.to_json().to_string().trim_matches('"').to_owned(), str::to_owned);
    match moments::parse(&text, zone) {
        Ok(moment) => Some(moment),
        Err(problem) => {
            fields.report(invalid(format!("'{key}' of {}: {problem}", fields.what())), node.span);
            None
        }
    }
}
