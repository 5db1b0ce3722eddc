//! What clients ask of runs, and what they are told.

use std::collections::BTreeMap;
use std::time::Duration;

use common::diagnostic::Severity;
use common::run::{RetryPolicy, RunOptions, RunRequest};
use common::task::{FailureKinds, TaskState};
use common::{Diagnostic, NodeId, RequestId};

use crate::description::{to_target, to_verb};
use crate::invalid::Invalid;
use crate::scalar::{duration, timestamp, to_duration, to_json};
use crate::task::{failure_kind, to_failure_kind};
use crate::{microbatch, project, v1};

/// Longest request id, in bytes.
const REQUEST_ID_MAX: usize = 128;
/// Most selectors, and labels, of one request.
const ENTRIES_MAX: usize = 1_000;
/// Longest text of a selector, a label or a name, in bytes.
const TEXT_MAX: usize = 4_096;
/// Most results of an earlier run.
const RESULTS_MAX: usize = 100_000;
/// Most bytes of variables.
const VARS_MAX: usize = 256 << 10;
/// Most attempts at one task.
const ATTEMPTS_MAX: u32 = 100;

/// A run as it was asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Submit {
    pub request: RequestId,
    pub run: RunRequest,
    /// Statuses of an earlier run.
    pub results: BTreeMap<NodeId, String>,
}

pub fn to_submit(request: v1::SubmitRunRequest) -> Result<Submit, Invalid> {
    let verb = to_verb(request.verb())?;
    let id = to_request(request.request_id)?;
    project::check_project(&request.project)?;
    check_texts("select", &request.select)?;
    check_texts("exclude", &request.exclude)?;
    check_texts("selector", [&request.selector])?;
    check_texts("resource_types", &request.resource_types)?;
    check_texts("exclude_resource_types", &request.exclude_resource_types)?;
    if request.results.len() > RESULTS_MAX {
        return Err(Invalid::new("results", format!("has more than {RESULTS_MAX} entries")));
    }
    check_texts("worker_labels", request.worker_labels.iter().flat_map(|(name, value)| [name, value]))?;
    let vars = request.vars.unwrap_or_default();
    if prost::Message::encoded_len(&vars) > VARS_MAX {
        return Err(Invalid::new("vars", format!("have more than {VARS_MAX} bytes")));
    }
    let target = request.target.ok_or_else(|| Invalid::missing("target"))?;
    check_texts("target", [&target.name, &target.profile, &target.database, &target.schema])?;
    let bundle = match &request.bundle_digest[..] {
        [] => None,
        digest => Some(project::to_digest("bundle_digest", digest)?),
    };
    let run = RunRequest {
        project: request.project,
        bundle,
        target: (&to_target(target)?).into(),
        options: RunOptions {
            verb,
            full_refresh: request.full_refresh,
            fail_fast: request.fail_fast,
            store_failures: request.store_failures,
            empty: request.empty,
            vars: to_json(vars),
            event_time: microbatch::to_event_time(request.event_time)?,
        },
        select: request.select,
        exclude: request.exclude,
        selector: Some(request.selector).filter(|selector| !selector.is_empty()),
        resource_types: request.resource_types,
        exclude_resource_types: request.exclude_resource_types,
        indirect_selection: request.indirect_selection,
        priority: request.priority,
        timeout: to_limit("timeout", request.timeout)?,
        task_timeout: to_limit("task_timeout", request.task_timeout)?,
        retry: request.retry.map(to_retry).transpose()?.unwrap_or_default(),
        worker_labels: request.worker_labels.into_iter().collect(),
    };
    let results = request.results.into_iter().map(|(node, status)| (node.into(), status)).collect();
    Ok(Submit { request: id, run, results })
}

/// The id that makes a request safe to repeat.
pub fn to_request(id: String) -> Result<RequestId, Invalid> {
    match id.len() {
        0 => Err(Invalid::missing("request_id")),
        1..=REQUEST_ID_MAX => Ok(RequestId(id.into())),
        _ => Err(Invalid::new("request_id", format!("is longer than {REQUEST_ID_MAX} bytes"))),
    }
}

fn check_texts<'t>(field: &'static str, texts: impl IntoIterator<Item = &'t String>) -> Result<(), Invalid> {
    for (count, text) in texts.into_iter().enumerate() {
        if count >= ENTRIES_MAX {
            return Err(Invalid::new(field, format!("has more than {ENTRIES_MAX} entries")));
        }
        if text.len() > TEXT_MAX {
            return Err(Invalid::new(field, format!("is longer than {TEXT_MAX} bytes")));
        }
    }
    Ok(())
}

/// A limit of no time would end everything before it began.
fn to_limit(field: &'static str, limit: Option<prost_types::Duration>) -> Result<Option<Duration>, Invalid> {
    let Some(limit) = limit.map(|limit| to_duration(field, limit)).transpose()? else { return Ok(None) };
    if limit.is_zero() { Err(Invalid::new(field, "is no time at all")) } else { Ok(Some(limit)) }
}

fn to_retry(policy: v1::RetryPolicy) -> Result<RetryPolicy, Invalid> {
    let default = RetryPolicy::default();
    if policy.attempts_max == 0 || policy.attempts_max > ATTEMPTS_MAX {
        return Err(Invalid::new("retry.attempts_max", format!("is not between 1 and {ATTEMPTS_MAX}")));
    }
    let backoff = |field: &'static str, wait: Option<prost_types::Duration>, default: u64| {
        let wait = wait.map(|wait| to_duration(field, wait)).transpose()?;
        Ok(wait.map_or(default, |wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    };
    let kinds = policy.kinds().map(to_failure_kind).collect::<Result<FailureKinds, _>>()?;
    Ok(RetryPolicy {
        attempts_max: policy.attempts_max,
        backoff_initial_ms: backoff("retry.backoff_initial", policy.backoff_initial, default.backoff_initial_ms)?,
        backoff_max_ms: backoff("retry.backoff_max", policy.backoff_max, default.backoff_max_ms)?,
        kinds: if kinds == FailureKinds::NONE { default.kinds } else { kinds },
    })
}

/// Waits are whole milliseconds.
pub(crate) fn retry(policy: &RetryPolicy) -> v1::RetryPolicy {
    let wait = |ms: u64| Some(duration(Duration::from_millis(ms)));
    v1::RetryPolicy {
        attempts_max: policy.attempts_max,
        backoff_initial: wait(policy.backoff_initial_ms),
        backoff_max: wait(policy.backoff_max_ms),
        kinds: policy.kinds.iter().map(|kind| failure_kind(kind).into()).collect(),
    }
}

/// A task that stands where `state` says. What the state does not tell, of the attempts before it and of its place in the plan, is left
/// to the caller.
pub fn task(node: &NodeId, state: &TaskState) -> v1::Task {
    let mut task = v1::Task { node_id: node.to_string(), ..v1::Task::default() };
    let wire = match state {
        TaskState::Pending => v1::TaskState::Pending,
        TaskState::Ready => v1::TaskState::Ready,
        TaskState::Running { worker, attempt, epoch, started_at } => {
            task.worker = worker.to_string();
            (task.attempt, task.epoch) = (attempt.0, epoch.0);
            task.started_at = Some(timestamp(*started_at));
            v1::TaskState::Running
        }
        TaskState::UpForRetry { attempt, due_at } => {
            task.attempt = attempt.0;
            task.due_at = Some(timestamp(*due_at));
            v1::TaskState::UpForRetry
        }
        TaskState::Success => v1::TaskState::Success,
        TaskState::Failed(kind) => {
            task.failure = Some(v1::Failure { kind: failure_kind(*kind).into(), ..v1::Failure::default() });
            v1::TaskState::Failed
        }
        TaskState::UpstreamFailed => v1::TaskState::UpstreamFailed,
        TaskState::Skipped => v1::TaskState::Skipped,
        TaskState::Canceled => v1::TaskState::Canceled,
    };
    task.set_state(wire);
    task
}

pub fn diagnostic(diagnostic: &Diagnostic) -> v1::Diagnostic {
    use v1::diagnostic::Severity as Wire;
    let location = diagnostic.location.as_ref();
    let severity = match diagnostic.severity {
        Severity::Error => Wire::Error,
        Severity::Warning => Wire::Warning,
    };
    v1::Diagnostic {
        severity: severity.into(),
        code: diagnostic.code.as_str().to_owned(),
        message: diagnostic.message.clone(),
        file: location.map(|location| location.file.to_string()).unwrap_or_default(),
        line: location.map_or(0, |location| location.line),
        column: location.map_or(0, |location| location.column),
        hints: diagnostic.hint.iter().cloned().collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use common::run::Verb;

    use super::*;

    fn request() -> v1::SubmitRunRequest {
        v1::SubmitRunRequest {
            request_id: "r".to_owned(),
            project: "shop".to_owned(),
            verb: v1::Verb::Build.into(),
            target: Some(v1::Target {
                name: "prod".to_owned(),
                profile: "shop".to_owned(),
                adapter_type: "postgres".to_owned(),
                database: "db".to_owned(),
                schema: "public".to_owned(),
                threads: 4,
            }),
            ..v1::SubmitRunRequest::default()
        }
    }

    #[test]
    fn what_is_left_out_has_the_defaults() {
        let submit = to_submit(request()).unwrap();
        let run = submit.run;
        assert_eq!((run.options.verb, run.bundle, run.timeout), (Verb::Build, None, None));
        assert_eq!(run.retry, RetryPolicy::default());
    }

    /// Breaks a request.
    type Break = fn(&mut v1::SubmitRunRequest);

    #[test]
    fn each_wrong_field_is_named() {
        let no_time = Some(prost_types::Duration::default());
        let never = Some(v1::RetryPolicy::default());
        let wrong: [(&str, Break); 7] = [
            ("request_id", |request| request.request_id.clear()),
            ("request_id", |request| request.request_id = "r".repeat(129)),
            ("project", |request| request.project = "../x".to_owned()),
            ("verb", |request| request.verb = 0),
            ("target", |request| request.target = None),
            ("bundle_digest", |request| request.bundle_digest = vec![1; 31].into()),
            ("select", |request| request.select = vec!["a".to_owned(); 1_001]),
        ];
        for (field, change) in wrong {
            let mut request = request();
            change(&mut request);
            assert_eq!(to_submit(request).unwrap_err().field, field);
        }
        let request = v1::SubmitRunRequest { timeout: no_time, ..request() };
        assert_eq!(to_submit(request.clone()).unwrap_err().field, "timeout");
        let request = v1::SubmitRunRequest { timeout: None, retry: never, ..request };
        assert_eq!(to_submit(request).unwrap_err().field, "retry.attempts_max");
    }
}
